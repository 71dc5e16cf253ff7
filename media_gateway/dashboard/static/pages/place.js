// Place calls: one person by a form, or many by a table; and how those that were begun are getting on.
import { useEffect, useState } from "preact/hooks";
import { paused } from "../focus.js";
import { html } from "../html.js";
import { icons } from "../components/icons.js";
import { Campaign } from "../components/campaign.js";
import { Draft } from "../components/campaign_draft.js";
import { Dialog } from "../components/dialog.js";
import { ApiError, may, request } from "../api.js";
import { address, go } from "../router.js";
import { about } from "../state.js";
import { flowWords, moment, phone } from "../words.js";
/** @import { PageProps } from "../types.js" */

const LOOK_MS = 4000;
/** @type {Record<string, string>} */
export const STATES = { running: "Running", paused: "Paused", stopped: "Stopped", done: "Done" };

/** A field of a table. @param {string} text */
const quoted = (text) => `"${text.replaceAll('"', '""')}"`;

/** @typedef {{to: string, flow: string, name: string, cost: number, key: string}} Asked `key`: a second press is the same call */

/** What a call would be, before anybody is called. @param {FormData} form @returns {Promise<Asked>} */
async function checked(form) {
  const [to, flow, name] = ["to", "flow", "first_name"].map((field) => String(form.get(field)).trim());
  const csv = `phone,first_name\n${quoted(to.replace(/[\s()-]/g, ""))},${quoted(name)}\n`;
  const plan = await request("/api/v1/campaigns/check", { method: "POST", body: { flow, csv, per_minute: 1, at_once: 1, opens: "09:00", closes: "20:00" } });
  if (plan.bad.length) throw new Error(plan.bad[0].problem);
  if (plan.missing.length) throw new Error(`This installation cannot call anybody yet: ${plan.missing.join(", ")} not set.`);
  return { to: plan.good[0].to, flow, name, cost: plan.cost_usd, key: crypto.randomUUID() };
}

/** @param {{asked: Asked, onClose: () => void}} props */
function Question({ asked, onClose }) {
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  async function place() {
    setBusy(true);
    setError("");
    const { to, flow, name, key } = asked;
    try {
      const body = { to, flow, variables: name ? { first_name: name } : {} };
      const call = await request("/api/v1/calls", { method: "POST", headers: { "Idempotency-Key": key }, body });
      go(address("live", call.call_id));
    } catch (problem) {
      setError(problem instanceof ApiError ? problem.message : String(problem));
      setBusy(false);
    }
  }
  return html`
    <${Dialog} title=${`Call ${phone(asked.to)}?`} confirm=${busy ? "Calling …" : "Call now"} busy=${busy} error=${error} onConfirm=${place} onClose=${onClose}>
      <dl class="facts">
        ${asked.name && html`<div><dt>Who</dt><dd>${asked.name}</dd></div>`}
        <div><dt>About what</dt><dd>${flowWords(asked.flow)}</dd></div>
        <div><dt>About</dt><dd>$${asked.cost.toFixed(2)} <span class="quiet">for two minutes, without the language model</span></dd></div>
      </dl>
      <p class="quiet small">It rings at once, whatever the time is there.</p></${Dialog}>`;
}

/** One call: checked and priced, then asked about, then placed. */
function OneCall() {
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const [asked, setAsked] = useState(/** @type {Asked | null} */ (null));
  const flows = about.value?.flows ?? [];
  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    setBusy(true);
    setError("");
    try {
      setAsked(await checked(form));
    } catch (problem) {
      setError(problem instanceof Error ? problem.message : String(problem));
    }
    setBusy(false);
  }
  return html`
    <section class="card" aria-labelledby="one-title">
      <h2 id="one-title">Call somebody</h2>
      <form class="form-row" onSubmit=${submit}>
        <label>Number<input name="to" type="tel" required placeholder="+14155550123" autocomplete="off" /></label>
        <label>First name<input name="first_name" placeholder="optional" maxlength="100" autocomplete="off" /></label>
        <label>Conversation<select name="flow">${flows.map((flow) => html`<option key=${flow} value=${flow} selected=${flow.startsWith("outbound")}>${flowWords(flow)}</option>`)}</select></label>
        <button class="button primary" type="submit" ...${paused(busy)}>${icons.phone()}<span>${busy ? "Checking …" : "Call"}</span></button>
      </form>
      ${error && html`<p class="error" role="alert">${error}</p>`}
      ${asked && html`<${Question} asked=${asked} onClose=${() => setAsked(null)} />`}
    </section>`;
}

/** @param {{campaign: any}} props */
function Line({ campaign }) {
  return html`
    <li><a class="row" href=${address("place", campaign.campaign_id)}>
      <span class="row-top"><span class="row-who">${campaign.name}</span><span class="time">${moment(campaign.created_at)}</span></span>
      <span class="row-mid"><span class=${`tag state-${campaign.state}`}>${STATES[campaign.state]}</span>
        <span class="quiet small">${campaign.rows} ${campaign.rows === 1 ? "call" : "calls"} · ${flowWords(campaign.flow)} · by ${campaign.created_by}</span></span>
    </a></li>`;
}

function Begun() {
  const [campaigns, setCampaigns] = useState(/** @type {any[] | null} */ (null));
  const [error, setError] = useState("");
  const look = () => request("/api/v1/campaigns").then(
    (answer) => (setCampaigns(answer.campaigns), setError("")), (problem) => setError(problem.message));
  useEffect(() => {
    look();
    const timer = setInterval(look, LOOK_MS);
    return () => clearInterval(timer);
  }, []);
  return html`
    <section class="card" aria-labelledby="begun-title">
      <h2 id="begun-title">Campaigns</h2>
      ${error ? html`<p class="error" role="alert">${error} <button class="button small-button" type="button" onClick=${look}>Try again</button></p>`
        : !campaigns ? html`<p class="quiet" role="status">Loading …</p>`
        : !campaigns.length ? html`<p class="quiet">None yet. Choose a table above: every row is checked before anybody is called.</p>`
        : html`<ul class="rows flat">${campaigns.map((one) => html`<${Line} key=${one.campaign_id} campaign=${one} />`)}</ul>`}
    </section>`;
}

/** @param {PageProps} props */
export default function Place({ rest }) {
  if (!may("operator")) {
    return html`<main class="place"><h1>Place calls</h1><p class="quiet">Calling people needs the role operator; yours is viewer. An administrator can change it.</p></main>`;
  }
  if (rest[0]) return html`<${Campaign} key=${rest[0]} id=${rest[0]} />`;
  return html`
    <main class="page">
      <header class="page-head"><h1>Place calls</h1></header>
      <div class="stack">
        <${OneCall} />
        <${Draft} flows=${about.value?.flows ?? []} />
        <${Begun} />
      </div>
    </main>`;
}
