import { html } from "../html.js";
import { now } from "./clock.js";
import { StartButton } from "./start.js";
import { duration, flowWords, phone, statusWords } from "../words.js";
import { about, endedAt, isRunning, listState, open, openId, ordered, refreshList, startedAt, statusOf } from "../state.js";
/** @import { CallView } from "../types.js" */

/** @param {CallView} call */
export function who(call) {
  const number = phone(call.head.caller_phone || call.head.from_number);
  return number || (call.head.call_id ? "Unknown caller" : "New call"); // without a head the list has not told us yet
}

/** @param {CallView} call @returns {string} */
export function lasted(call) {
  const start = Date.parse(startedAt(call));
  if (Number.isNaN(start)) return "";
  const end = isRunning(call) ? now.value : Date.parse(endedAt(call));
  return Number.isNaN(end) ? "" : duration((end - start) / 1000);
}

/** @param {CallView} call @returns {string} */
function lastLine(call) {
  if (call.partial) return call.partial.text;
  return call.story.lastLine;
}

/** @param {{status: string}} props */
export const StatusChip = ({ status }) => html`<span class=${`chip ${status}`}>${statusWords(status)}</span>`;

/** @param {{call: CallView}} props */
function Row({ call }) {
  const current = call.id === openId.value;
  return html`
    <li>
      <button type="button" class=${`row ${isRunning(call) ? "running" : ""}`} aria-current=${current ? "true" : undefined}
        onClick=${() => open(call.id)}>
        <span class="row-top"><span class="row-who">${who(call)}</span><span class="time">${lasted(call)}</span></span>
        <span class="row-mid"><${StatusChip} status=${statusOf(call)} />
          <span class="quiet small">${flowWords(call.head.flow)}</span></span>
        ${lastLine(call) && html`<span class="row-line quiet">${lastLine(call)}</span>`}
      </button>
    </li>`;
}

function ListBody() {
  if (listState.value === "loading") {
    return html`<p class="list-empty quiet" role="status">Loading the calls …</p>`;
  }
  if (listState.value === "failed") {
    return html`<div class="list-empty"><p role="alert">The list of calls could not be loaded.</p>
      <button class="button" type="button" onClick=${refreshList}>Try again</button></div>`;
  }
  if (!ordered.value.length) return html`<p class="list-empty quiet">No calls yet. They appear here the moment they ring.</p>`;
  return html`<ul class="rows">${ordered.value.map((call) => html`<${Row} key=${call.id} call=${call} />`)}</ul>`;
}

export function CallList() {
  const running = ordered.value.filter(isRunning).length;
  return html`
    <nav class="list" aria-label="Calls">
      <div class="list-head">
        <h2>Calls</h2>
        <span class="quiet small">${running ? `${running} running` : "none running"}</span>
        ${about.value?.demo && html`<${StartButton} compact />`}
      </div>
      <${ListBody} />
    </nav>`;
}
