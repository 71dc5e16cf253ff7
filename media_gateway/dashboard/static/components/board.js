// All calls at once: what runs as tiles, those in trouble first; what has ended below.
import { useComputed } from "@preact/signals";
import { html } from "../html.js";
import { Hero, Engines } from "./empty.js";
import { ListState } from "./call_list.js";
import { holding, order, runningCount } from "./order.js";
import { StartButton, StartError } from "./start.js";
import { connection } from "../socket.js";
import { Row, Tile } from "./tile.js";
import { about, calls, listState } from "../state.js";
import { isRunning, troubleOf } from "../trouble.js";
import { now } from "./clock.js";

const SHOWN_ENDED = 12;

/** @param {boolean} running */
const idsOf = (running) => order.value.filter((id) => {
  const call = calls.value.get(id);
  return call && isRunning(call) === running;
});

/** How many of the running calls need somebody. */
function inTrouble() {
  let count = 0;
  for (const call of calls.value.values()) if ((troubleOf(call, now.value)?.rank ?? 0) >= 50) count += 1;
  return count;
}

function Running() {
  const ids = useComputed(() => idsOf(true).join(" ")).value;
  const need = useComputed(inTrouble).value;
  const known = ["live", "polling", "degraded"].includes(connection.value.phase);
  return html`
    <section aria-labelledby="running-title">
      <header class="board-head">
        <h1 id="running-title">${runningCount.value} ${runningCount.value === 1 ? "call" : "calls"} running</h1>
        <p class=${need ? "need" : "quiet"} role="status">${need ? `${need} ${need === 1 ? "needs" : "need"} somebody` : known ? "All is well" : "when last heard of"}</p>
        ${about.value?.demo && html`<${StartButton} compact />`}
      </header>
      <${StartError} />
      <ul class="tiles" ...${holding}>${ids.split(" ").map((id) => html`<${Tile} key=${id} id=${id} />`)}</ul>
    </section>`;
}

function Ended() {
  const ids = useComputed(() => idsOf(false).slice(0, SHOWN_ENDED).join(" ")).value;
  if (!ids) return null;
  return html`
    <section class="ended-lately" aria-labelledby="ended-title">
      <h2 id="ended-title">Ended lately</h2>
      <ul class="ended-rows">${ids.split(" ").map((id) => html`<${Row} key=${id} id=${id} />`)}</ul>
    </section>`;
}

export function Board() {
  const quiet = listState.value === "ready" && !runningCount.value;
  return html`
    <main class="board">
      ${runningCount.value ? html`<${Running} />` : quiet ? html`<${Hero} />` : html`<div class="board-wait"><${ListState} /></div>`}
      <${Ended} />
      ${!runningCount.value && html`<${Engines} />`}
    </main>`;
}
