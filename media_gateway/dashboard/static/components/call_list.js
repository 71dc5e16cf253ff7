// The calls beside the opened one.
import { html } from "../html.js";
import { holding, order, runningCount } from "./order.js";
import { StartButton } from "./start.js";
import { Row } from "./tile.js";
import { about, listState, refreshList } from "../state.js";

/** What is said while there is no list, and null once there is one. */
export function ListState() {
  if (listState.value === "loading") return html`<p class="list-empty quiet" role="status">Loading the calls …</p>`;
  if (listState.value === "failed") {
    return html`<div class="list-empty"><p role="alert">The list of calls could not be loaded.</p>
      <button class="button" type="button" onClick=${refreshList}>Try again</button></div>`;
  }
  return null;
}

export function CallList() {
  return html`
    <nav class="list" aria-label="Calls">
      <div class="list-head">
        <h2><a href="#/">Calls</a></h2>
        <span class="quiet small">${runningCount.value} running</span>
        ${about.value?.demo && html`<${StartButton} compact />`}
      </div>
      ${order.value.length ? html`<ul class="rows" ...${holding}>${order.value.map((id) => html`<${Row} key=${id} id=${id} />`)}</ul>`
        : html`<${ListState} />`}
    </nav>`;
}
