// Numbers: how a period went, in tiles and charts, each chart with its table.
import { useRef } from "preact/hooks";
import { paused } from "../focus.js";
import { html } from "../html.js";
import { Charts } from "../components/numbers_charts.js";
import { PeriodChoice } from "../components/period_choice.js";
import { useResource } from "../components/resource.js";
import { request } from "../api.js";
import { dateIn, periodOf, spanWords, todayHere } from "../period.js";
import { address, go, withQuery } from "../router.js";
import { about } from "../state.js";
import { duration, flowWords } from "../words.js";
/** @import { PageProps } from "../types.js" */

const USUAL = 7;
const ROUNDS = 200; // requests, each of which counts a portion of a period that was never counted before
/** @type {Array<[number, string]>} */
const SPANS = [[1, "Today"], [7, "7 days"], [30, "30 days"]];

/** @param {URLSearchParams} query */
function question(query) {
  const { days, from, to } = periodOf(query, USUAL);
  const asked = new URLSearchParams(Object.entries({ days: days ? String(days) : "", from, to, flow: query.get("flow") ?? "" }).filter(([, value]) => value));
  return asked.toString();
}

/** Ask until all calls are counted; every answer is shown. @param {string} key @param {(numbers: any) => void} take @param {() => boolean} wanted */
async function count(key, take, wanted) {
  let before = Infinity;
  for (let round = 0; round < ROUNDS && wanted(); round += 1) {
    const numbers = await request(`/api/v1/metrics?${key}`);
    take(numbers);
    if (!numbers.missing || numbers.missing >= before) return; // done, or some cannot be counted
    before = numbers.missing;
  }
}

/** @param {number} part @param {number} whole */
const share = (part, whole) => (whole ? `${Math.round((100 * part) / whole)}% of calls` : "");

/** @param {{numbers: any}} props */
function Tiles({ numbers }) {
  const { calls } = numbers;
  const cost = numbers.cost_usd;
  /** @type {Array<[string, string, string]>} */
  const tiles = [
    ["Calls", calls.toLocaleString("en"), numbers.active ? `${numbers.active} running now` : ""],
    ["Answered", numbers.answered.toLocaleString("en"), share(numbers.answered, calls)],
    ["Completed", numbers.completed.toLocaleString("en"), share(numbers.completed, calls)],
    ["Booked", numbers.booked.toLocaleString("en"), share(numbers.booked, calls)],
    ["Escalated", numbers.escalated.toLocaleString("en"), share(numbers.escalated, calls)],
    ["Average handling time", numbers.average_handling_s === null ? "–" : duration(numbers.average_handling_s), numbers.average_turns ? `${numbers.average_turns.toFixed(1)} turns` : ""],
    ["Cost", `$${cost.toFixed(2)}`, calls && cost ? `$${(cost / calls).toFixed(3)} a call` : ""],
    ["Tokens", numbers.tokens.toLocaleString("en"), ""],
  ];
  return html`<dl class="totals">${tiles.map(([name, value, more]) => html`
    <div key=${name}><dt>${name}</dt><dd>${value}</dd>${more && html`<dd class="quiet small">${more}</dd>`}</div>`)}</dl>`;
}

/** @param {{numbers: any, loading: boolean}} props */
function Counting({ numbers, loading }) {
  if (numbers.missing) {
    const all = numbers.calls + numbers.missing;
    if (!loading) return html`<p class="notice" role="status">${numbers.missing} of ${all} calls could not be counted.</p>`;
    return html`<div class="counting" role="status"><span>Counting: ${numbers.calls.toLocaleString("en")} of ${all.toLocaleString("en")} calls</span>
      <progress max=${all} value=${numbers.calls} aria-label="Calls counted"></progress></div>`;
  }
  if (!numbers.counted_all) return html`<p class="notice" role="status">There are more calls than are counted here: the newest are. Choose a shorter period.</p>`;
  return null;
}

/** @param {PageProps} props */
export default function Numbers({ query }) {
  const key = question(query);
  const before = useRef(/** @type {any} */ (null)); // stays, faded, until the next period is there: nothing jumps or closes
  const { value, loading, error, again } = useResource(key, (/** @type {(numbers: any) => void} */ take, wanted) => count(key, take, wanted));
  if (value) before.current = value;
  const numbers = value ?? (error ? null : before.current);
  const old = !value && Boolean(numbers);
  /** @param {Record<string, string>} change */
  const ask = (change) => go(withQuery(address("numbers"), { ...Object.fromEntries(query), ...change }), { replace: true });
  const flow = query.get("flow") ?? "";
  const flows = [...new Set([...(about.value?.flows ?? []), ...(flow ? [flow] : [])])];
  const span = numbers && spanWords(dateIn(numbers.from, numbers.timezone), dateIn(numbers.to, numbers.timezone));
  return html`
    <main class=${`page numbers ${old ? "old" : ""}`} aria-busy=${loading ? "true" : "false"}>
      <header class="page-head"><h1>Numbers</h1>
        ${span && html`<p class="quiet small">${span}, ${numbers.timezone.replaceAll("_", " ")}</p>`}
        ${numbers && html`<button class="button small-button refresh" type="button" ...${paused(loading)} onClick=${again}>${loading ? "Counting …" : "Count again"}</button>`}</header>
      <div class="numbers-choice">
        <${PeriodChoice} period=${periodOf(query, USUAL)} spans=${SPANS} name="numbers-period" today=${todayHere()} onChoose=${ask} />
        <label class="choice-field"><span>Flow</span><select value=${flow} onChange=${(/** @type {any} */ event) => ask({ flow: event.currentTarget.value })}>
          <option value="">All</option>${flows.map((name) => html`<option key=${name} value=${name}>${flowWords(name)}</option>`)}</select></label>
      </div>
      ${error && html`<div class=${numbers ? "notice" : "blank"}><p role="alert">${error}</p><button class="button" type="button" onClick=${again}>Try again</button></div>`}
      ${!numbers && !error && html`<p class="blank quiet" role="status">Counting …</p>`}
      ${numbers && html`<${Counting} numbers=${numbers} loading=${loading} />
        <${Tiles} numbers=${numbers} />
        ${numbers.calls ? html`<${Charts} numbers=${numbers} />`
          : html`<div class="blank"><p><strong>No call was over in this period.</strong></p>
            <p class="quiet">${numbers.active ? "What runs now is counted when it ends." : "Choose a longer period, or another flow."}</p></div>`}`}
    </main>`;
}
