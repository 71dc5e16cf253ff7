// One call among others: who, where it stands, how long, what is wrong, the last line.
import { useComputed } from "@preact/signals";
import { html } from "../html.js";
import { icons } from "./icons.js";
import { now } from "./clock.js";
import { emptyCall } from "../fold.js";
import { duration, flowWords, phone, statusWords, title } from "../words.js";
import { openId, viewOf } from "../state.js";
import { address } from "../router.js";
import { endedAt, isRunning, moodOf, startedAt, statusOf, troubleOf } from "../trouble.js";
/** @import { CallView } from "../types.js" */

/** @param {CallView} call */
export function who(call) {
  if (call.head.metadata?.source === "browser") return call.head.metadata.user || "Browser";
  const number = phone(call.head.caller_phone || call.head.from_number);
  return number || (call.head.call_id ? "Unknown caller" : "New call"); // without a head the list has not told us yet
}

/** @param {CallView | undefined} call @param {number} at ms since epoch @returns {string} */
function lasted(call, at) {
  const start = call ? Date.parse(startedAt(call)) : NaN;
  const end = !call || isRunning(call) ? at : Date.parse(endedAt(call));
  return Number.isNaN(start) || Number.isNaN(end) ? "" : duration((end - start) / 1000);
}

/** How long a call of which only the head is known has lasted. @param {Record<string, any>} head */
export const lastedWords = (head) => lasted(emptyCall(head.call_id, head), now.peek());

/** How long it has lasted. Ticks by itself: the text alone changes, nothing is drawn anew. @param {{call: CallView}} props */
export function Lasted({ call: { id } }) {
  return html`<span>${useComputed(() => lasted(viewOf(id).value, now.value))}</span>`;
}

/** @param {{status: string}} props */
export const StatusChip = ({ status }) => html`<span class=${`chip ${status}`}>${statusWords(status)}</span>`;

const MOODS = { quick: "Quick answers", fair: "Fair answers", slow: "Slow answers" };

/** Three bars, as the strength of a signal; said in words too. @param {{call: CallView}} props */
export function Mood({ call }) {
  const mood = moodOf(call);
  if (!mood) return null;
  return html`<span class=${`mood ${mood}`} title=${MOODS[mood]}><i></i><i></i><i></i><span class="hidden">${MOODS[mood]}</span></span>`;
}

/** "bad", "warn" or "". @param {string} id */
function markOf(id) {
  const call = viewOf(id).value;
  const trouble = call && troubleOf(call, now.value);
  return !trouble ? "" : trouble.rank >= 50 ? "bad" : "warn";
}

/** @param {string} id @returns {string} */
function troubleWords(id) {
  const call = viewOf(id).value;
  const trouble = call && troubleOf(call, now.value);
  if (!call || !trouble) return "";
  if (trouble.words !== "Silent") return trouble.words;
  return `Silent for ${duration((now.value - Date.parse(call.story.wordsAt)) / 1000)}`;
}

/** What is wrong, if anything is. @param {{call: CallView}} props */
export function Trouble({ call: { id } }) {
  const mark = useComputed(() => markOf(id)).value;
  const words = useComputed(() => troubleWords(id));
  return mark ? html`<span class=${`trouble ${mark}`}>${icons.warning()}<span>${words}</span></span>` : null;
}

/** @param {CallView} call */
function lastLine(call) {
  if (call.partial) return html`<span class="hidden">Caller: </span>${call.partial.text}`;
  if (call.reply) return html`<span class="hidden">Assistant: </span>${call.reply.text}`;
  return call.story.lastLine;
}

/** @param {CallView} call */
const standing = (call) => {
  const state = call.story.state ?? call.head.conversation_state?.state;
  return [flowWords(call.head.flow), state ? title(state) : ""].filter(Boolean).join(" · ");
};

/** A large one for the board. @param {{id: string}} props */
export function Tile({ id }) {
  const call = viewOf(id).value;
  const mark = useComputed(() => markOf(id)).value;
  if (!call) return null;
  return html`
    <li><a class=${`tile ${mark}`} href=${address("live", id)} data-call=${id}>
      <span class="tile-top"><span class="row-who">${who(call)}</span><span class="time"><${Lasted} key=${id} call=${call} /></span></span>
      <span class="tile-mid quiet small">${standing(call) || statusWords(statusOf(call))}</span>
      <span class="tile-line">${lastLine(call) || html`<span class="quiet">${call.head.seq && !call.through ? "…" : "Nothing said yet"}</span>`}</span>
      <span class="tile-foot">${(statusOf(call) !== "in_progress" || !mark) && html`<${StatusChip} status=${statusOf(call)} />`}<${Mood} call=${call} />
        ${call.story.holder && html`<span class="tag">${call.story.holder} speaks</span>`}<${Trouble} call=${call} /></span>
    </a></li>`;
}

/** A small one for lists. @param {{id: string}} props */
export function Row({ id }) {
  const call = viewOf(id).value;
  if (!call) return null;
  const current = id === openId.value;
  return html`
    <li><a class=${`row ${isRunning(call) ? "running" : ""}`} aria-current=${current ? "true" : undefined} href=${address("live", id)}
      data-call=${id}>
      <span class="row-top"><span class="row-who">${who(call)}</span><span class="time"><${Lasted} key=${id} call=${call} /></span></span>
      <span class="row-mid"><${StatusChip} status=${statusOf(call)} /><${Mood} call=${call} />
        <span class="quiet small">${flowWords(call.head.flow)}</span></span>
      ${isRunning(call) && html`<${Trouble} call=${call} />`}
      ${lastLine(call) && html`<span class="row-line quiet">${lastLine(call)}</span>`}
    </a></li>`;
}
