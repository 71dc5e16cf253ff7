// The charts of a period: which there are, and what their tables say.
import { html } from "../html.js";
import { Bars, Columns } from "./charts.js";
import { dateIn, daysFrom, shortDay, weekDay } from "../period.js";
import { flowWords, outcomeWords, slotName, stageWords, vendorWords } from "../words.js";

const DAYS = 62; // more than these are drawn by the week

/** @param {number} value */
const dollars = (value) => `$${value.toFixed(value && value < 0.1 ? 3 : 2)}`;
/** @param {number} value */
const plain = (value) => value.toLocaleString("en");

/** A row a day without a gap; of a long period a row a week. @param {any} numbers */
export function rowsByDay(numbers) {
  const known = new Map(numbers.by_day.map((/** @type {any} */ day) => [day.day, day]));
  const days = daysFrom(dateIn(numbers.from, numbers.timezone), dateIn(numbers.to, numbers.timezone));
  const step = days.length > DAYS ? 7 : 1;
  const rows = [];
  for (let at = 0; at < days.length; at += step) {
    const own = days.slice(at, at + step).map((day) => known.get(day)).filter(Boolean);
    /** @type {Record<string, number>} */
    const cost = {};
    for (const day of own) for (const [name, usd] of Object.entries(day.cost_by_vendor ?? {})) cost[name] = (cost[name] ?? 0) + usd;
    /** @param {string} name */
    const sum = (name) => own.reduce((all, day) => all + day[name], 0);
    rows.push({ day: days[at], week: step > 1, calls: sum("calls"), booked: sum("booked"), usd: sum("cost_usd"), cost });
  }
  return rows;
}

/** @param {{numbers: any}} props */
export function Charts({ numbers }) {
  const rows = rowsByDay(numbers);
  const week = rows[0]?.week;
  /** @param {any} row */
  const long = (row) => (week ? `Week of ${shortDay(row.day)}` : weekDay(row.day));
  const vendors = Object.keys(numbers.cost_by_vendor);
  const hours = numbers.by_hour.map((/** @type {number} */ calls, /** @type {number} */ hour) => ({
    name: String(hour), long: `${String(hour).padStart(2, "0")}:00`, parts: [calls],
  }));
  const latency = Object.entries(numbers.latency_ms).map(([name, one]) => ({ name: name === "total" ? "Whole answer" : stageWords(name), ...one, total: name === "total" }));
  latency.sort((a, b) => Number(b.total) - Number(a.total));
  return html`
    <div class="charts">
      <${Columns} id="days" title=${week ? "Calls a week" : "Calls a day"} series=${["Booked", "Not booked"]} tones=${[0, 4]} heads=${["Calls", "Booked"]}
        rows=${rows.map((row) => ({ name: shortDay(row.day), long: long(row), parts: [row.booked, row.calls - row.booked], cells: [plain(row.calls), plain(row.booked)] }))}
        told=${(/** @type {any} */ row) => `${row.cells[0]} calls, ${row.cells[1]} booked`} first=${week ? "Week of" : "Day"} />
      <${Columns} id="hours" title="Busiest hours" series=${["Calls"]} heads=${["Calls"]} rows=${hours.map((/** @type {any} */ row) => ({ ...row, cells: [plain(row.parts[0])] }))}
        told=${(/** @type {any} */ row) => `${row.cells[0]} calls`} first="Hour" />
      <${Bars} id="outcomes" title="What came of them" first="Outcome" heads=${["Calls", "Share"]}
        rows=${Object.entries(numbers.by_outcome).map(([name, calls]) => ({ name: outcomeWords(name), value: calls, words: plain(calls), cells: [plain(calls), `${Math.round((100 * calls) / numbers.calls)}%`] }))} />
      <${Bars} id="flows" title="Flows that came to their end" first="Flow" heads=${["Calls", "Completed", "Rate"]} most=${1}
        rows=${numbers.by_flow.map((/** @type {any} */ row) => ({ name: flowWords(row.flow), value: row.completion_rate, words: `${Math.round(100 * row.completion_rate)}% of ${row.calls}`, cells: [plain(row.calls), plain(row.completed), `${Math.round(100 * row.completion_rate)}%`] }))} />
      <${Bars} id="latency" title="Time to answer, p50 and p95" first="Stage" heads=${["Turns", "p50 (ms)", "p95 (ms)"]} empty="No turn was measured." marks=${["p50", "p95"]}
        rows=${latency.map((/** @type {any} */ row) => ({ name: row.name, value: row.p50, upto: row.p95, words: `${Math.round(row.p50)} / ${Math.round(row.p95)} ms`, cells: [plain(row.turns), plain(Math.round(row.p50)), plain(Math.round(row.p95))] }))} />
      <${Bars} id="drop" title="Where callers left" first="Asked for" heads=${["Calls"]} empty="Nobody left in the middle of a question."
        rows=${numbers.drop_off.map((/** @type {any} */ row) => ({ name: slotName(row.slot), value: row.calls, words: plain(row.calls), cells: [plain(row.calls)] }))} />
      ${vendors.length > 0 && html`
        <${Columns} id="cost" title=${week ? "Cost a week" : "Cost a day"} series=${vendors.map(vendorWords)} heads=${[...vendors.map(vendorWords), "Sum"]} money
          rows=${rows.map((row) => ({ name: shortDay(row.day), long: long(row), parts: vendors.map((name) => row.cost[name] ?? 0), cells: [...vendors.map((name) => dollars(row.cost[name] ?? 0)), dollars(row.usd)] }))}
          told=${(/** @type {any} */ row) => row.cells.at(-1)} first=${week ? "Week of" : "Day"} />
        <${Bars} id="vendors" title="Cost by vendor" first="Vendor" heads=${["Cost"]}
          rows=${Object.entries(numbers.cost_by_vendor).map(([name, usd]) => ({ name: vendorWords(name), value: usd, words: dollars(usd), cells: [dollars(usd)] }))} />`}
    </div>`;
}
