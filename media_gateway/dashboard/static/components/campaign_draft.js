// A table of people, checked row by row, priced and timed, before anybody is called.
import { useState } from "preact/hooks";
import { paused } from "../focus.js";
import { html } from "../html.js";
import { icons } from "./icons.js";
import { ApiError, request } from "../api.js";
import { address, go } from "../router.js";
import { duration, flowWords, phone } from "../words.js";

const EXAMPLE = "phone,first_name\n+14155550123,Ann\n";
const SHOWN = 8;
const WHOLE = 60_000;

/** What a check found. @param {{plan: any}} props */
function Plan({ plan }) {
  const names = plan.columns.filter((/** @type {string} */ name) => Object.keys(plan.good[0]?.variables ?? {}).includes(name));
  return html`
    <div class="plan">
      <dl class="sums">
        <div><dt>Will be called</dt><dd>${plan.good_rows}</dd></div>
        <div><dt>Rejected</dt><dd class=${plan.bad.length ? "warn" : ""}>${plan.bad.length}</dd></div>
        <div><dt>About</dt><dd>$${plan.cost_usd.toFixed(2)}</dd></div>
        <div><dt>At least</dt><dd>${duration(plan.seconds)}</dd></div>
        ${plan.days > 1 && html`<div><dt>Daily cap ${plan.per_day}</dt><dd>${plan.days} days</dd></div>`}
      </dl>
      <p class="quiet small">List prices for two minutes a call, without the language model.</p>
      ${plan.missing.length > 0 && html`<p class="notice" role="alert">This installation cannot call anybody yet: ${plan.missing.join(", ")} ${plan.missing.length > 1 ? "are" : "is"} not set.</p>`}
      ${plan.bad.length > 0 && html`
        <details open=${plan.bad.length <= SHOWN}><summary>Rejected rows</summary>
          <ul class="bad-rows">${plan.bad.map((/** @type {any} */ row) => html`<li key=${row.line}><span class="time">line ${row.line}</span> ${row.problem}</li>`)}</ul></details>`}
      ${plan.good.length > 0 && html`
        <div class="scroll" tabindex="0" role="region" aria-label="The first rows"><table><thead><tr><th scope="col">Number</th>${names.map((/** @type {string} */ name) => html`<th scope="col" key=${name}>${name}</th>`)}</tr></thead>
          <tbody>${plan.good.slice(0, SHOWN).map((/** @type {any} */ row) => html`<tr key=${row.line}><td>${phone(row.to)}</td>${names.map((/** @type {string} */ name) => html`<td key=${name}>${row.variables[name]}</td>`)}</tr>`)}</tbody></table></div>`}
      ${plan.good_rows > SHOWN && html`<p class="quiet small">and ${plan.good_rows - SHOWN} more</p>`}
    </div>`;
}

/** @param {{flows: string[]}} props */
export function Draft({ flows }) {
  const [csv, setCsv] = useState("");
  const [file, setFile] = useState("");
  const [plan, setPlan] = useState(/** @type {any} */ (null));
  const [error, setError] = useState("");
  const [busy, setBusy] = useState("");

  /** @param {HTMLFormElement} form */
  const body = (form) => {
    const fields = new FormData(form);
    return {
      flow: String(fields.get("flow")), csv, name: String(fields.get("name")).trim() || file,
      per_minute: Number(fields.get("per_minute")), at_once: Number(fields.get("at_once")),
      opens: String(fields.get("opens")), closes: String(fields.get("closes")),
    };
  };
  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.target);
    const begin = /** @type {HTMLButtonElement | null} */ (event.submitter)?.value === "begin";
    setBusy(begin ? "begin" : "check");
    setError("");
    try {
      const answer = await request(`/api/v1/campaigns${begin ? "" : "/check"}`, { method: "POST", body: body(form), patience: WHOLE });
      if (begin) return go(address("place", answer.campaign_id));
      setPlan(answer);
    } catch (problem) {
      setPlan(null);
      setError(problem instanceof ApiError ? problem.message : String(problem));
    }
    setBusy("");
  }
  /** @param {any} event */
  async function chosen(event) {
    const found = event.currentTarget.files?.[0];
    setPlan(null);
    setError("");
    if (!found) return;
    setFile(found.name.replace(/\.csv$/i, ""));
    setCsv(await found.text());
  }
  /** What was checked is not what is there now. */
  const changed = () => setPlan(null);
  return html`
    <section class="card" aria-labelledby="many-title">
      <h2 id="many-title">Call many people</h2>
      <form class="draft" onSubmit=${submit} onInput=${changed}>
        <label class="file">Table (CSV: a column phone, every other column is a variable of the call)
          <input type="file" accept=".csv,text/csv" onChange=${chosen} /></label>
        <label>or paste it here<textarea rows="4" spellcheck=${false} value=${csv} placeholder=${EXAMPLE}
          onInput=${(/** @type {any} */ event) => setCsv(event.currentTarget.value)}></textarea></label>
        <div class="form-row">
          <label>Conversation<select name="flow">${flows.map((flow) => html`<option key=${flow} value=${flow} selected=${flow === "outbound_followup"}>${flowWords(flow)}</option>`)}</select></label>
          <label>Name<input name="name" placeholder=${file || "optional"} maxlength="100" autocomplete="off" /></label>
          <label>Calls a minute<input name="per_minute" type="number" min="1" max="60" value="6" required /></label>
          <label>At once<input name="at_once" type="number" min="1" max="50" value="5" required /></label>
          <label>From<input name="opens" type="time" value="09:00" required /></label>
          <label>To<input name="closes" type="time" value="20:00" required /></label>
        </div>
        <p class="quiet small">The times are on the clock of whoever is called.</p>
        ${error && html`<p class="error" role="alert">${error}</p>`}
        ${plan && html`<${Plan} plan=${plan} />`}
        <div class="form-foot">
          <button class="button" type="submit" value="check" disabled=${!csv.trim()} ...${paused(Boolean(busy))}>${icons.check()}<span>${busy === "check" ? "Checking …" : "Check, call nobody"}</span></button>
          ${plan && plan.good_rows > 0 && html`
            <button class="button primary" type="submit" value="begin" disabled=${plan.missing.length > 0} ...${paused(Boolean(busy))}>
              ${icons.phone()}<span>${busy === "begin" ? "Beginning …" : `Call ${plan.good_rows} ${plan.good_rows === 1 ? "person" : "people"}`}</span></button>`}
        </div>
      </form>
    </section>`;
}
