// Set up: what this installation is connected to, who may come in, and who did what.
import { html } from "../html.js";
import { Connected } from "../components/connections.js";
import { Engines } from "../components/empty.js";
import { Loaded, useLoaded } from "../components/loaded.js";
import { Keys, Users } from "../components/people.js";
import { may, me } from "../api.js";
import { moment } from "../words.js";

/** @param {{log: import("../components/loaded.js").Asked}} props */
function Log({ log }) {
  return html`
    <section class="card" aria-labelledby="log-title">
      <div class="card-head"><h2 id="log-title">Who did what</h2></div>
      <${Loaded} of=${log}>${() => (log.value.entries.length ? html`
        <div class="scroll" tabindex="0" role="region" aria-label="Audit log"><table>
          <thead><tr><th scope="col">When</th><th scope="col">Who</th><th scope="col">What</th><th scope="col">To what</th></tr></thead>
          <tbody>${log.value.entries.map((/** @type {any} */ one) => html`
            <tr key=${one.id}><td class="time">${moment(one.at)}</td><td>${one.actor}</td><td>${one.action}</td><td>${one.target}</td></tr>`)}</tbody></table></div>`
        : html`<p class="quiet">Nothing yet. What supervisors and administrators do is written here.</p>`)}</${Loaded}>
    </section>`;
}

function Whole() {
  const log = useLoaded("/api/v1/audit?limit=20");
  return html`<div class="stack"><${Connected} /><${Users} told=${log.look} /><${Keys} told=${log.look} /><${Log} log=${log} /></div>`;
}

export default function Setup() {
  return html`
    <main class="page">
      <header class="page-head"><h1>Set up</h1></header>
      ${may("admin") ? html`<${Whole} />` : html`
        <div class="stack">
          <p class="notice">Connections, users and keys need the role admin; yours is ${me.value?.role ?? "viewer"}. An administrator can change it.</p>
          <${Engines} />
        </div>`}
    </main>`;
}
