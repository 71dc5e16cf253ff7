import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "../html.js";
import { icons } from "./icons.js";
import { stamp, toolWords } from "../words.js";
/** @import { Bubble, CallView, Item, NoteItem, ToolItem } from "../types.js" */

const NEAR_END_PX = 80;

/** @param {{item: Bubble, hear: ((ts: string) => void) | null}} props */
function Said({ item, hear }) {
  const speaker = { user: "Caller", assistant: "Assistant", supervisor: "Supervisor" }[item.kind];
  return html`
    <div class=${`bubble ${item.kind}`}>
      <p class="by">${speaker} <time datetime=${item.ts}>${stamp(item.ts)}</time>
        ${hear && html`<button class="hear" type="button" aria-label=${`Hear it from ${stamp(item.ts)}`} title="Hear it from here" onClick=${() => hear(item.ts)}>${icons.play()}</button>`}</p>
      <p class="words">${item.text}${item.cut && html`<del><span class="hidden">, interrupted before: </span>${item.cut}</del>`}</p>
      ${item.cut && html`<p class="cut-note" aria-hidden="true">interrupted: the struck-out words were never heard</p>`}
    </div>`;
}

/** @param {{item: ToolItem}} props */
function Tool({ item }) {
  const { asked, outcome } = toolWords(item.tool, item.args, item.result, item.ok);
  const picture = { book_appointment: icons.calendar, get_available_slots: icons.search, lookup_customer: icons.person }[item.tool];
  return html`
    <div class=${`tool ${item.ok ? "" : "failed"}`} data-tool=${item.tool}>
      <span class="tool-mark">${(picture ?? icons.tool)()}</span>
      <div class="tool-body">
        <p class="tool-asked">${asked}</p>
        ${outcome && html`<p class="tool-outcome">${outcome}</p>`}
        <details>
          <summary><code>${item.tool}</code>${item.ms !== null && html`<span class="time">${Math.round(item.ms)} ms</span>`}</summary>
          <pre tabindex="0" aria-label="Arguments and result">${JSON.stringify({ arguments: item.args, result: item.result }, null, 2)}</pre>
        </details>
      </div>
    </div>`;
}

/** @param {{item: NoteItem}} props */
const Note = ({ item }) => html`<p class=${`note ${item.tone}`}>${item.text}</p>`;

/** @param {Item} item @param {((ts: string) => void) | null} hear */
function draw(item, hear) {
  if (item.kind === "tool") return html`<${Tool} key=${item.key} item=${item} />`;
  if (item.kind === "note") return html`<${Note} key=${item.key} item=${item} />`;
  return html`<${Said} key=${item.key} item=${item} hear=${hear} />`;
}

/** What is being said now; outside the log, so that a screen reader hears whole lines only. @param {{call: CallView}} props */
function Now({ call }) {
  return html`
    <div class="now" aria-hidden="true">
      ${call.partial && html`<div class="bubble user ghost"><p class="by">Caller</p>
        <p class="words">${call.partial.text}<span class="caret"></span></p></div>`}
      ${call.reply && html`<div class="bubble assistant ghost"><p class="by">Assistant</p>
        <p class="words">${call.reply.text}<span class="caret"></span></p></div>`}
    </div>`;
}

const WINDOW = 120; // items that are drawn: a call of four hours has thousands
const STEP = 80;
const LONGEST = 400;

/**
 * Follows the end while the reader is at the end; never pulls away from what is being read. Of a long call a window is
 * drawn, which grows upwards as the reader goes there.
 * @param {{call: CallView, waiting: string, thinking?: boolean, hear?: ((ts: string) => void) | null}} props `hear`: play
 *   the call's sound from this moment
 */
export function Transcript({ call, waiting, thinking = false, hear = null }) {
  const box = /** @type {{current: HTMLDivElement | null}} */ (useRef(null));
  const following = useRef(true);
  const [behind, setBehind] = useState(false);
  const [first, setFirst] = useState(/** @type {number | null} */ (null)); // null: the window hangs on the end
  const items = call.story.items;
  const from = first === null ? Math.max(0, items.length - WINDOW) : Math.min(first, items.length);
  const to = first === null ? items.length : Math.min(items.length, from + LONGEST);

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    if (following.current) element.scrollTop = element.scrollHeight;
    else setBehind(true);
  }, [items.length, call.partial?.text, call.reply?.text, thinking]);

  useEffect(() => {
    following.current = true;
    setBehind(false);
    setFirst(null);
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [call.id]);

  const scrolled = () => {
    const element = box.current;
    if (!element) return;
    const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END_PX;
    following.current = atEnd && to === items.length;
    if (following.current) {
      setBehind(false);
      setFirst(null);
    } else {
      if (first === null) setFirst(from); // what is read stays where it is
      if (atEnd && to < items.length) setFirst(from + STEP);
    }
  };
  const earlier = () => {
    following.current = false;
    const element = box.current;
    const below = element ? element.scrollHeight - element.scrollTop : 0;
    setFirst(Math.max(0, from - STEP));
    requestAnimationFrame(() => {
      if (element) element.scrollTop = element.scrollHeight - below;
    });
  };
  const toEnd = () => {
    following.current = true;
    setBehind(false);
    setFirst(null);
    requestAnimationFrame(() => box.current?.scrollTo({ top: box.current.scrollHeight }));
  };

  const silent = !items.length && !call.partial && !call.reply;
  return html`
    <div class="talk-frame">
      <div class="talk" ref=${box} onScroll=${scrolled} tabindex="0" role="region" aria-label="Transcript">
        ${silent && html`<p class="silent quiet">${waiting}</p>`}
        ${from > 0 && html`<button class="button small-button earlier" type="button" onClick=${earlier}>
          Show earlier (${from} above)</button>`}
        <div class="log" role="log" aria-label="What was said">${items.slice(from, to).map((item) => draw(item, hear))}</div>
        <${Now} call=${call} />
        ${thinking && html`<p class="thinking" role="status"><span class="hidden">The assistant is thinking</span>
          <i></i><i></i><i></i></p>`}
      </div>
      ${behind && html`<button class="button jump" type="button" onClick=${toEnd}>${icons.down()}Newest</button>`}
    </div>`;
}
