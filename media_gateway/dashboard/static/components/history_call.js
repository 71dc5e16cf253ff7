// A call that is over, opened: what was said, what came of it, as a file, and for administrators its end.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../html.js";
import { icons } from "./icons.js";
import { Player } from "./player.js";
import { Erase, Export } from "./call_deeds.js";
import { OutcomeChip } from "./history_list.js";
import { useResource } from "./resource.js";
import { Appointment, Latency, Standing, Timeline, Use } from "./side.js";
import { Lasted, StatusChip, who } from "./tile.js";
import { Transcript } from "./transcript.js";
import { request } from "../api.js";
import { emptyCall } from "../fold.js";
import { customerOf, withRecord } from "../post_call.js";
import { address, withQuery } from "../router.js";
import { catchUp, takeHeads, viewOf } from "../state.js";
import { endedAt, isRunning, startedAt, statusOf } from "../trouble.js";
import { flowWords, moment, phone, slotName, slotValue, title } from "../words.js";
/** @import { CallView } from "../types.js" */

/** @type {Record<string, [string, string]>} */
const SUCCESS = { success: ["good", "Successful"], failure: ["bad", "Not successful"], unknown: ["", "Not clear"] };
/** @type {Record<string, string>} */
const SOURCES = { openai: "by OpenAI", elevenlabs: "by ElevenLabs", scripted: "from the journal, without a model" };
const OTHERS = 6;
const AWAITED_MS = 60000; // so long after its end a call may still be analysed
const AGAIN_MS = 2000;

/** Has it ended just now, without an analysis? @param {CallView} call @param {Record<string, any> | null} post */
const isAwaited = (call, post) => Boolean(post) && !post?.summary && !post?.success && Date.now() - Date.parse(endedAt(call)) < AWAITED_MS;

/** @param {{call: CallView, post: Record<string, any> | null}} props */
function Analysis({ call, post }) {
  if (!post?.summary && !post?.success) {
    const words = isRunning(call) ? "Made when the call is over." : isAwaited(call, post) ? "Being made …" : "Nobody has analysed this call yet.";
    return html`<section class="card" aria-labelledby="analysis-title"><h2 id="analysis-title">Analysis</h2><p class="quiet">${words}</p></section>`;
  }
  const [tone, words] = SUCCESS[post.success] ?? ["", ""];
  const facts = Object.entries(post.extracted ?? {}).filter(([, value]) => value !== null && value !== "");
  return html`
    <section class="card" aria-labelledby="analysis-title">
      <h2 id="analysis-title">Analysis ${words && html`<span class=${`chip outcome-chip ${tone}`}>${words}</span>`}</h2>
      ${post.title && html`<p class="analysis-title">${post.title}</p>`}
      <p>${post.summary}</p>
      ${facts.length > 0 && html`<dl class="facts extracted">${facts.map(([name, value]) => html`
        <div key=${name}><dt>${slotName(name)}</dt><dd>${typeof value === "boolean" ? (value ? "Yes" : "No") : slotValue(name, value)}</dd></div>`)}</dl>`}
      ${post.source && html`<p class="quiet small analysis-source">Written ${SOURCES[post.source] ?? `by ${title(post.source)}`}</p>`}
    </section>`;
}

/** The other calls of the same customer. @param {{call: CallView}} props */
function Others({ call }) {
  const number = customerOf(call.head);
  const { value, error, again } = useResource(`others ${number}`, async (/** @type {(found: any[]) => void} */ take) => {
    if (number) take((await request(`/api/v1/calls?${new URLSearchParams({ q: number, limit: "20" })}`)).calls);
  });
  if (!number) return null;
  const others = (value ?? []).filter((/** @type {any} */ head) => head.call_id !== call.id && customerOf(head) === number);
  const content = error ? html`<p class="small" role="alert">${error} <button class="button small-button" type="button" onClick=${again}>Try again</button></p>`
    : !value ? html`<p class="quiet small" role="status">Looking …</p>`
      : !others.length ? html`<p class="quiet small">This is the only one.</p>`
        : html`<ul class="others">${others.slice(0, OTHERS).map((/** @type {any} */ head) => html`
          <li key=${head.call_id}><a href=${address("history", head.call_id)} data-call=${head.call_id}>
            <span>${moment(head.started_at)}</span>
            ${head.outcome ? html`<${OutcomeChip} outcome=${head.outcome} />` : html`<${StatusChip} status=${head.status} />`}
            <span class="quiet small">${head.analysis?.call_summary_title ?? flowWords(head.flow)}</span></a></li>`)}</ul>
          ${others.length > OTHERS && html`<p><a href=${withQuery(address("history"), { q: number })}>All calls of this customer</a></p>`}`;
  return html`
    <section class="card" aria-labelledby="others-title"><h2 id="others-title">Other calls of ${phone(number)}</h2>${content}</section>`;
}

/** @param {{call: CallView, post: Record<string, any> | null, query: URLSearchParams}} props */
function Opened({ call, post, query }) {
  const back = withQuery(address("history"), Object.fromEntries(query));
  const running = isRunning(call);
  const shown = withRecord(call, post);
  const heard = /** @type {{current: ((ts: string) => void) | null}} */ (useRef(null));
  return html`
    <main class="call history-call" aria-labelledby="history-title">
      <header class="call-head">
        <a class="button icon-only back" href=${back} aria-label="Back to the list">${icons.back()}</a>
        <div class="call-name">
          <h1 id="history-title">${who(call)}</h1>
          <p class="quiet small"><span><${StatusChip} status=${statusOf(call)} /></span>
            <span>${[moment(startedAt(call)), flowWords(call.head.flow)].filter(Boolean).join(" · ")} · <${Lasted} call=${call} /></span>
            ${call.head.metadata?.continues && html`<a href=${address("history", call.head.metadata.continues)}>continues an earlier one</a>`}</p>
        </div>
        ${running && html`<a class="button primary" href=${address("live", call.id)}>${icons.live()}<span>Watch it live</span></a>`}
        <${Export} id=${call.id} audio=${post?.audio} />
        <${Erase} call=${call} back=${back} />
      </header>
      <div class="call-body">
        <div class="talk-column">
          <${Player} id=${call.id} audio=${post?.audio ?? null} heard=${heard} />
          <${Transcript} call=${shown} hear=${post?.audio?.recorded ? (/** @type {string} */ ts) => heard.current?.(ts) : null}
            waiting=${call.loaded ? "Nothing was said in this call." : "Loading what was said …"} />
        </div>
        <aside class="side" tabindex="0" aria-label="Details of the call">
          <${Analysis} call=${call} post=${post} />
          ${call.story.appointment && html`<${Appointment} facts=${call.story.appointment} />`}
          <${Others} call=${call} />
          <${Standing} call=${call} />
          <${Use} call=${shown} />
          <${Latency} call=${call} />
          <${Timeline} call=${call} />
        </aside>
      </div>
    </main>`;
}

/** @param {{id: string, query: URLSearchParams}} props */
export function HistoryCall({ id, query }) {
  const [missing, setMissing] = useState(false);
  const { value, error, again } = useResource(`call ${id}`, async (/** @type {(found: Record<string, any>) => void} */ take) => {
    setMissing(false);
    try {
      const { post_call: post, outcome: _, ...head } = await request(`/api/v1/calls/${encodeURIComponent(id)}`);
      takeHeads([head]);
      take({ post });
    } catch (problem) {
      if (/** @type {any} */ (problem).status === 404) setMissing(true);
      throw problem;
    }
  });
  const call = viewOf(id).value ?? emptyCall(id);
  const over = call.story.completed;
  useEffect(() => {
    if (over && value && !value.post) again(); // it ended while one was reading
  }, [over]);
  useEffect(() => {
    if (!value || !isAwaited(call, value.post)) return undefined;
    const timer = setTimeout(again, AGAIN_MS); // its analysis comes some moments after the end
    return () => clearTimeout(timer);
  }, [value]);
  const back = html`<a class="button" href=${withQuery(address("history"), Object.fromEntries(query))}>${icons.back()}All calls</a>`;
  if (missing) {
    return html`<main class="place"><h1>There is no such call</h1><p class="quiet">The address may be wrong, or the call is not kept any more.</p>${back}</main>`;
  }
  if (error) {
    const retry = () => (again(), void catchUp(id));
    return html`<main class="place"><h1>This call could not be loaded</h1><p role="alert">${error}</p>
      <div class="place-buttons"><button class="button primary" type="button" onClick=${retry}>Try again</button>${back}</div></main>`;
  }
  if (!value) return html`<main class="place" aria-busy="true"><p class="quiet" role="status">Loading the call …</p></main>`;
  return html`<${Opened} call=${call} post=${value.post} query=${query} />`;
}
