// Charts of boxes that the browser lays out by itself; what is drawn is in a table too.
import { useState } from "preact/hooks";
import { html } from "../html.js";

/** @typedef {{name: string, long: string, parts: number[], cells: string[]}} Column */
/** @typedef {{name: string, value: number, upto?: number, words: string, cells: string[]}} Bar */

const TONES = [0, 1, 2, 3, 4, 5];

/** The next round number above. @param {number} value @returns {number} */
export function nice(value) {
  if (value <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  return /** @type {number} */ ([1, 2, 4, 5, 10].find((step) => step * unit >= value - 1e-9)) * unit;
}

/** @param {{first: string, heads: string[], rows: Array<{name: string, cells: string[]}>, title: string}} props */
function Table({ first, heads, rows, title }) {
  return html`<details class="as-table"><summary>Table<span class="hidden">: ${title}</span></summary>
    <div class="table-frame" tabindex="0" role="region" aria-label=${`Table: ${title}`}><table>
      <thead><tr><th scope="col">${first}</th>${heads.map((head) => html`<th scope="col" key=${head}>${head}</th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`<tr key=${row.name}><th scope="row">${row.name}</th>${row.cells.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody>
    </table></div></details>`;
}

/** @param {{series: string[], tones: number[]}} props */
const Legend = ({ series, tones }) => html`<ul class="legend">${series.map((name, at) => html`<li key=${name}><i class=${`tone-${tones[at % 6]}`}></i>${name}</li>`)}</ul>`;

/**
 * Columns over time, of one or more parts each, the first at the bottom.
 * @param {{id: string, title: string, series: string[], heads: string[], rows: Column[], told: (row: Column) => string, first: string, money?: boolean, tones?: number[]}} props
 */
export function Columns({ id, title, series, heads, rows, told, first, money = false, tones = TONES }) {
  const [at, setAt] = useState(-1);
  const sums = rows.map((row) => row.parts.reduce((all, part) => all + part, 0));
  const most = nice(Math.max(...sums, 0));
  const every = Math.max(1, Math.ceil(rows.length / 8));
  /** @param {number} value */
  const scale = (value) => (money ? `$${value < 1 ? value.toFixed(2) : value}` : value.toLocaleString("en"));
  const half = !money && most < 2 ? "" : scale(most / 2);
  return html`
    <section class="chart" aria-labelledby=${`chart-${id}`}>
      <header><h2 id=${`chart-${id}`}>${title}</h2><p class="readout quiet small" aria-hidden="true">${rows[at] ? `${rows[at].long}: ${told(rows[at])}` : ""}</p></header>
      ${series.length > 1 && html`<${Legend} series=${series} tones=${tones} />`}
      <div class="plot" aria-hidden="true" onPointerLeave=${() => setAt(-1)}>
        <div class="axis"><span>${scale(most)}</span><span>${half}</span><span>0</span></div>
        <div class="columns">${rows.map((row, index) => html`
          <div key=${row.long} class=${`column ${index === at ? "on" : ""}`} onPointerEnter=${() => setAt(index)}>
            <div class="stack-up">${row.parts.map((part, at) => part > 0 && html`<i class=${`tone-${tones[at % 6]}`} style=${{ height: `${(100 * part) / most}%` }}></i>`)}</div>
            <span class=${(index / every) % 2 === 1 ? "odd" : ""}>${index % every === 0 && (index + every / 2 < rows.length || every === 1) ? row.name : ""}</span></div>`)}</div>
      </div>
      <${Table} first=${first} heads=${heads} rows=${rows.map((row) => ({ ...row, name: row.long }))} title=${title} />
    </section>`;
}

/**
 * Bars with a name each; with `upto` a lighter part goes on behind the value.
 * @param {{id: string, title: string, first: string, heads: string[], rows: Bar[], most?: number, empty?: string, marks?: string[]}} props
 */
export function Bars({ id, title, first, heads, rows, most = 0, empty = "Nothing.", marks = [] }) {
  const whole = most || Math.max(1e-9, ...rows.map((row) => row.upto ?? row.value));
  return html`
    <section class="chart" aria-labelledby=${`chart-${id}`}>
      <header><h2 id=${`chart-${id}`}>${title}</h2></header>
      ${marks.length > 0 && rows.length > 0 && html`<ul class="legend">${marks.map((name, at) => html`<li key=${name}><i class=${at ? "mark-upto" : "tone-0"}></i>${name}</li>`)}</ul>`}
      ${rows.length ? html`<ul class="bars" aria-hidden="true">${rows.map((row) => html`
        <li key=${row.name}><span class="bar-name">${row.name}</span>
          <span class="bar-track">${row.upto !== undefined && html`<i class="mark-upto" style=${{ width: `${(100 * row.upto) / whole}%` }}></i>`}
            <i class="tone-0" style=${{ width: `${(100 * row.value) / whole}%` }}></i></span>
          <span class="bar-words">${row.words}</span></li>`)}</ul>
        <${Table} first=${first} heads=${heads} rows=${rows} title=${title} />` : html`<p class="quiet">${empty}</p>`}
    </section>`;
}
