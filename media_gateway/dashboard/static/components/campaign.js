// One campaign: how far it is, what came of each row, and its brakes.
import { useEffect, useState } from "preact/hooks";
import { html } from "../html.js";
import { icons } from "./icons.js";
import { Dialog } from "./dialog.js";
import { ApiError, request } from "../api.js";
import { address } from "../router.js";
import { flowWords, moment, phone, statusWords, title } from "../words.js";

const LOOK_MS = 2000;
/** @type {Record<string, string>} */
const STATE = { running: "Running", paused: "Paused", stopped: "Stopped", done: "Done" };
/** @type {Record<string, string>} */
const ROW = { waiting: "Waiting", placing: "Dialling", placed: "In a call", done: "Done", refused: "Refused", stopped: "Not called" };

/** What came of a row. @param {any} row @returns {string} */
function result(row) {
  if (row.state === "refused") return row.detail;
  return [row.result && statusWords(row.result), row.detail && title(row.detail)].filter(Boolean).join(", ");
}

/** @param {{counts: any}} props */
function Progress({ counts }) {
  const { total, over } = counts;
  const words = `${over} of ${total} done`;
  return html`
    <div class="progress-block">
      <progress class="progress" max=${total} value=${over} aria-label="Calls that are done"></progress>
      <p class="small"><strong>${words}</strong>
        <span class="quiet">${["placed", "placing", "waiting", "refused", "stopped"].filter((name) => counts[name]).map((name) => ` · ${counts[name]} ${ROW[name].toLowerCase()}`).join("")}</span></p>
    </div>`;
}

/** @param {{id: string}} props */
export function Campaign({ id }) {
  const [campaign, setCampaign] = useState(/** @type {any} */ (null));
  const [error, setError] = useState("");
  const [stopping, setStopping] = useState(false);
  const path = `/api/v1/campaigns/${encodeURIComponent(id)}`;
  const look = () => request(path).then((found) => (setCampaign(found), setError("")), (problem) => setError(problem.message));
  useEffect(() => {
    look();
    const timer = setInterval(look, LOOK_MS);
    return () => clearInterval(timer);
  }, [id]);
  /** @param {string} verb */
  async function move(verb) {
    try {
      await request(`${path}/${verb}`, { method: "POST" });
      setStopping(false);
      await look();
    } catch (problem) {
      setError(problem instanceof ApiError ? problem.message : String(problem));
    }
  }
  if (!campaign) {
    return html`<main class="place" aria-busy=${!error}>${error
      ? html`<h1>Campaign</h1><p class="error" role="alert">${error}</p><a class="button" href=${address("place")}>All campaigns</a>`
      : html`<p class="quiet" role="status">Loading …</p>`}</main>`;
  }
  const open = campaign.state === "running" || campaign.state === "paused";
  return html`
    <main class="page">
      <header class="page-head">
        <a class="button icon-only" href=${address("place")} aria-label="Back to all campaigns">${icons.back()}</a>
        <h1>${campaign.name}</h1><span class=${`tag state-${campaign.state}`} role="status">${STATE[campaign.state]}</span>
        <div class="head-buttons">
          ${open && html`<button class=${`button ${campaign.state === "paused" ? "primary" : ""}`} type="button"
            onClick=${() => move(campaign.state === "paused" ? "resume" : "pause")}>${campaign.state === "paused" ? "Go on" : "Pause"}</button>
            <button class="button danger" type="button" onClick=${() => setStopping(true)}>Stop</button>`}
        </div>
      </header>
      <div class="stack">
        ${error && html`<p class="notice" role="alert">${error}</p>`}
        ${campaign.reason && html`<p class="notice" role="alert">${campaign.reason}</p>`}
        <section class="card" aria-label="Progress">
          <${Progress} counts=${campaign.counts} />
          <p class="quiet small">${flowWords(campaign.flow)} · begun ${moment(campaign.created_at)} by ${campaign.created_by}${" · "}
            ${campaign.per_minute} a minute, ${campaign.at_once} at once, ${campaign.opens} to ${campaign.closes} where they are</p>
        </section>
        <section class="card" aria-labelledby="rows-title"><h2 id="rows-title">Calls</h2>
          <div class="scroll" tabindex="0" role="region" aria-label="Every row"><table>
            <thead><tr><th scope="col">Line</th><th scope="col">Number</th><th scope="col">State</th><th scope="col">Result</th></tr></thead>
            <tbody>${campaign.results.map((/** @type {any} */ row) => html`
              <tr key=${row.n}><td class="time">${row.line}</td>
                <td>${row.call_id ? html`<a href=${address(row.state === "placed" ? "live" : "history", row.call_id)}>${phone(row.to)}</a>` : phone(row.to) || "forgotten"}</td>
                <td><span class=${`tag row-${row.state}`}>${ROW[row.state]}</span></td><td>${result(row)}</td></tr>`)}</tbody></table></div>
        </section>
      </div>
      ${stopping && html`
        <${Dialog} title="Stop this campaign?" confirm="Stop it" danger onClose=${() => setStopping(false)} onConfirm=${() => move("stop")}>
          <p>Calls that run go on to their end. Nobody else is called, and it cannot be started again.</p>
        </${Dialog}>`}
    </main>`;
}
