import { html } from "../html.js";
import { spanWords } from "../period.js";
/** @import { Period } from "../period.js" */

/**
 * Which days: a few usual spans, or dates of one's own. `onChoose` is given what belongs into the address.
 * @param {{period: Period, spans: Array<[number, string]>, name: string, today: string, onChoose: (query: Record<string, string>) => void}} props
 */
export function PeriodChoice({ period, spans, name, today, onChoose }) {
  const own = period.days === 0 && Boolean(period.from || period.to);
  const wrong = Boolean(period.from && period.to && period.from > period.to);
  /** @param {number} days */
  const span = (days) => onChoose({ days: days ? String(days) : "", from: "", to: "" });
  /** @param {"from" | "to"} end */
  const date = (end) => html`<label><span>${end === "from" ? "From" : "To"}</span>
    <input type="date" value=${period[end]} max=${today} aria-invalid=${wrong ? "true" : undefined}
      onChange=${(/** @type {any} */ event) => onChoose({ days: "", from: period.from, to: period.to, [end]: event.currentTarget.value })} /></label>`;
  return html`
    <div class="period">
      <fieldset class="segments"><legend class="hidden">Period</legend>
        ${spans.map(([days, words]) => html`
          <label key=${days} class=${!own && period.days === days ? "on" : ""}><input type="radio" name=${name} value=${days}
            checked=${!own && period.days === days} onChange=${() => span(days)} />${words}</label>`)}
        <label key="own" class=${own ? "on" : ""}><input type="radio" name=${name} value="own" checked=${own}
          onChange=${() => onChoose({ days: "", from: today, to: today })} />Dates</label>
      </fieldset>
      ${own && html`<div class="dates">${date("from")}${date("to")}</div>`}
      ${wrong && html`<p class="error small" role="alert">"From" lies behind "to" (${spanWords(period.to, period.from)} the other way round).</p>`}
    </div>`;
}
