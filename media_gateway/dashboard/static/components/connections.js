// What this installation is connected to, the addresses to enter elsewhere, and the signed test.
import { useState } from "preact/hooks";
import { paused } from "../focus.js";
import { html } from "../html.js";
import { Copied } from "./copy.js";
import { Loaded, useLoaded } from "./loaded.js";
import { request } from "../api.js";
import { moment } from "../words.js";

const LOOK_MS = 10_000;
/** @type {Record<string, string>} */
const STATES = { ok: "Works", unknown: "Not seen yet", wrong: "Needs a look", off: "Not set up" };

/** @param {any} line @returns {string} */
const seen = (line) => (line.last_seen ? `seen ${moment(line.last_seen)}` : line.state === "off" ? "" : "not seen since this server started");

/** @param {{line: any}} props */
function Line({ line }) {
  return html`
    <li>
      <p class="line-name">${line.title}<span class="quiet small">${line.what}</span>${line.demo && html`<span class="tag">demo</span>`}</p>
      <p class="line-state"><span class=${`tag link-${line.state}`}>${STATES[line.state]}</span></p>
      ${seen(line) && html`<p class="line-more quiet small">${seen(line)}</p>`}
      ${line.problem && html`<p class="line-more wrong">${line.problem}${line.problem_at && ` ${moment(line.problem_at)}.`}</p>`}
      ${line.fix && html`<p class="line-more">${line.fix}</p>`}
    </li>`;
}

function Test() {
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState(/** @type {{ok: boolean, text: string} | null} */ (null));
  async function send() {
    setBusy(true);
    setSaid(null);
    try {
      const result = await request("/api/v1/connections/elevenlabs/test", { method: "POST", patience: 20_000 });
      setSaid({ ok: result.ok, text: result.ok ? `${result.message} ${result.ms} ms.` : `${result.message} ${result.fix}` });
    } catch (problem) {
      setSaid({ ok: false, text: problem instanceof Error ? problem.message : String(problem) });
    }
    setBusy(false);
  }
  return html`
    <div class="card-foot">
      <button class="button" type="button" ...${paused(busy)} onClick=${send}>${busy ? "Sending …" : "Send a signed test webhook"}</button>
      <p class="good" role="status">${said?.ok ? said.text : ""}</p>
      ${said && !said.ok && html`<p class="error" role="alert">${said.text}</p>`}
    </div>`;
}

export function Connected() {
  const found = useLoaded("/api/v1/connections", LOOK_MS);
  return html`
    <section class="card" aria-labelledby="connections-title">
      <div class="card-head"><h2 id="connections-title">Connections</h2>
        <button class="button small-button" type="button" onClick=${found.look}>Look again</button></div>
      <${Loaded} of=${found}>${() => html`
        <ul class="lines">${found.value.connections.map((/** @type {any} */ line) => html`<${Line} key=${line.name} line=${line} />`)}</ul>`}</${Loaded}>
    </section>
    <section class="card" aria-labelledby="addresses-title">
      <div class="card-head"><h2 id="addresses-title">Addresses for the vendors</h2></div>
      <${Loaded} of=${found}>${() => html`
        <ul class="lines">${found.value.addresses.map((/** @type {any} */ one) => html`
          <li key=${one.name}>
            <p class="line-name">${one.title}<span class="quiet small">${one.where}</span></p>
            ${one.url && html`<div class="line-more"><${Copied} text=${one.url} what=${one.title} /></div>`}
            ${one.note && html`<p class="line-more quiet small">${one.note}</p>`}
          </li>`)}</ul>
        <${Test} />`}</${Loaded}>
    </section>`;
}
