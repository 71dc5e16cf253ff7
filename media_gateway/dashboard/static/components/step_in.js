// Stepping into a running call: each deed is confirmed, and what came of it is said.
import { useEffect, useRef, useState } from "preact/hooks";
import { isLost, paused } from "../focus.js";
import { html } from "../html.js";
import { icons } from "./icons.js";
import { now } from "./clock.js";
import { Dialog } from "./dialog.js";
import { may, me } from "../api.js";
import { micLevel } from "../microphone.js";
import { giveBack, speakingIn, speakingTrouble, takeOver } from "../takeover.js";
import { Level } from "./level.js";
import { command, sent } from "../commands.js";
import { title, toolWords } from "../words.js";
/** @import { Approval, CallView } from "../types.js" */
/** @import { Kind } from "../commands.js" */

const PATIENCE_MS = 12000;
const TOLD_MS = 8000;

/** @type {Record<string, {verb: string, done: string}>} */
const WORDS = {
  whisper: { verb: "Whisper", done: "The assistant has been told." },
  say: { verb: "Say", done: "The line was said." },
  transfer: { verb: "Transfer", done: "The call is being transferred." },
  takeover: { verb: "Take over", done: "The call is yours." },
  release: { verb: "Give back", done: "The assistant has the call again." },
  hangup: { verb: "Hang up", done: "The call was ended." },
  approve: { verb: "Approve", done: "Approved." },
  refuse: { verb: "Refuse", done: "Refused." },
};

/** What came of this tab's last command to the call. @param {{call: CallView}} props */
function Outcome({ call }) {
  const last = sent.value.filter((one) => one.callId === call.id).at(-1);
  if (!last) return null;
  const { verb, done } = WORDS[last.kind];
  const result = call.story.commands[last.id];
  if (result && now.value - Date.parse(result.ts) > TOLD_MS && now.value - last.at > TOLD_MS) return null;
  if (result?.ok) return html`<p class="outcome good" role="status">${icons.check()}${done}</p>`;
  if (result) return html`<p class="outcome bad" role="alert">${verb} did not work. ${result.detail}</p>`;
  if (now.value - last.at > PATIENCE_MS) {
    return html`<p class="outcome bad" role="alert">The call has not answered yet. It may be over, or on another server.</p>`;
  }
  return html`<p class="outcome" role="status">${verb} …</p>`;
}

/** A line for the assistant or the caller. @param {{call: CallView, kind: "say" | "whisper", onDone: () => void}} props */
function Line({ call, kind, onDone }) {
  const [text, setText] = useState("");
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const place = /** @type {{current: HTMLFormElement | null}} */ (useRef(null));
  useEffect(() => {
    const asked = document.activeElement;
    const form = place.current;
    form?.querySelector("input")?.focus();
    return () => {
      if (asked instanceof HTMLElement && (isLost() || form?.contains(document.activeElement))) asked.focus();
    };
  }, []);
  const label = kind === "say" ? "The caller hears, in the assistant's voice" : "Only the assistant hears";
  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    if (!text.trim() || busy) return;
    setBusy(true);
    setError("");
    try {
      await command(call.id, kind, { text: text.trim() });
      onDone();
    } catch (problem) {
      setError(problem instanceof Error ? problem.message : String(problem));
      setBusy(false);
    }
  }
  return html`
    <form class="step-line" ref=${place} onSubmit=${submit} onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === "Escape" && onDone()}>
      <label for="step-text">${label}</label>
      <div class="composer-line">
        <input id="step-text" value=${text} maxlength="500" autocomplete="off"
          onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} />
        <button class="button primary" type="submit" disabled=${!text.trim()} ...${paused(busy)}>${WORDS[kind].verb}</button>
      </div>
      ${error && html`<p class="error" role="alert">${error}</p>`}
    </form>`;
}

/** @param {{call: CallView, kind: Kind, onClose: () => void}} props */
function Question({ call, kind, onClose }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const [by, setBy] = useState("browser");
  /** @param {FormData} form */
  async function confirm(form) {
    setBusy(true);
    setError("");
    const to = String(form.get("to") ?? "").trim();
    try {
      if (kind === "takeover" && by === "browser") await takeOver(call.id);
      else await command(call.id, kind, kind === "takeover" ? { by } : to ? { to } : {});
      onClose();
    } catch (problem) {
      setError(problem instanceof Error ? problem.message : String(problem));
      setBusy(false);
    }
  }
  const common = { onConfirm: confirm, onClose, busy, error };
  if (kind === "hangup") {
    return html`<${Dialog} title="End this call?" confirm="Hang up" danger ...${common}>
      <p>The caller hears nothing more. This cannot be undone.</p></${Dialog}>`;
  }
  if (kind === "transfer") {
    return html`<${Dialog} title="Transfer this call" confirm="Transfer" ...${common}>
      <label>To<input name="to" placeholder="whoever takes this flow's callers" autocomplete="off" maxlength="100" /></label>
      <p class="quiet small">The name of a supervisor, or empty. The caller is told before it rings.</p></${Dialog}>`;
  }
  return html`<${Dialog} title="Take this call over" confirm="Take over" ...${common}>
    <fieldset class="choice"><legend>Speak with</legend>
      <label><input type="radio" name="by" value="browser" checked=${by === "browser"} onChange=${() => setBy("browser")} />This browser's microphone</label>
      <label><input type="radio" name="by" value="phone" checked=${by === "phone"} onChange=${() => setBy("phone")} />My own phone</label>
    </fieldset>
    ${by === "phone" && html`<p class="quiet small">It rings at the number that belongs to your login.</p>`}
    <p class="quiet small">The assistant falls silent. You are heard until you give the call back or hang up.</p></${Dialog}>`;
}

/** @param {{call: CallView, asked: Approval}} props */
function Waiting({ call, asked }) {
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  /** @param {"approve" | "refuse"} kind */
  async function decide(kind) {
    setBusy(true);
    setError("");
    try {
      await command(call.id, kind, { request_id: asked.id });
    } catch (problem) {
      setError(problem instanceof Error ? problem.message : String(problem));
      setBusy(false);
    }
  }
  const facts = toolWords(asked.tool, asked.args, null, true).asked;
  return html`
    <div class="approval" role="group" aria-label=${`Approval of ${title(asked.tool)}`}>
      <p><strong>${title(asked.tool)}</strong> waits for your word. <span class="quiet">${facts === title(asked.tool) ? "" : facts}</span></p>
      <details class="quiet small"><summary>What exactly</summary><pre tabindex="0" aria-label="Arguments">${JSON.stringify(asked.args, null, 2)}</pre></details>
      <div class="approval-foot">
        <button class="button primary small-button" type="button" disabled=${!may("operator")} ...${paused(busy)} onClick=${() => decide("approve")}>${icons.check()}Approve</button>
        <button class="button small-button" type="button" disabled=${!may("operator")} ...${paused(busy)} onClick=${() => decide("refuse")}>${icons.cross()}Refuse</button>
      </div>
      ${error && html`<p class="error" role="alert">${error}</p>`}
    </div>`;
}

/** This supervisor has the call. @param {{call: CallView}} props */
function Speaking({ call }) {
  const here = speakingIn.value === call.id;
  const give = () => (here ? giveBack() : void command(call.id, "release").catch((problem) => (speakingTrouble.value = problem.message)));
  return html`
    <div class="speaking" role="status">
      ${icons.microphone()}<strong>${here ? "You speak with the caller" : "You have this call"}</strong>
      ${here && html`<${Level} level=${micLevel.value} label="How loud you are" />`}
      <button class="button small-button" type="button" onClick=${give}>Give it back to the assistant</button>
    </div>`;
}

/** The bar of deeds over a running call. @param {{call: CallView}} props */
export function StepIn({ call }) {
  const [open, setOpen] = useState(/** @type {Kind | null} */ (null));
  const [refused, setRefused] = useState(false);
  const allowed = may("operator");
  const holder = call.story.holder;
  const own = holder !== "" && holder === me.value?.user;
  /** @param {Kind} kind */
  const press = (kind) => {
    setRefused(!allowed);
    if (allowed) setOpen(open === kind ? null : kind);
  };
  /** @param {Kind} kind @param {any} icon */
  const deed = (kind, icon) => html`<button class=${`button small-button ${kind === "hangup" ? "danger-text" : ""}`} type="button"
    aria-disabled=${allowed ? undefined : "true"} aria-expanded=${kind === "say" || kind === "whisper" ? String(open === kind) : undefined}
    onClick=${() => press(kind)}>${icon}<span>${WORDS[kind].verb}</span></button>`;
  const close = () => setOpen(null);
  return html`
    <section class="step-in" aria-label="Step in">
      <div class="step-row">
        ${deed("whisper", icons.whisper())}${deed("say", icons.sound())}${deed("transfer", icons.transfer())}
        ${deed("takeover", icons.microphone())}${deed("hangup", icons.hangup())}
        <${Outcome} call=${call} />
      </div>
      ${refused && html`<p class="outcome bad" role="alert">You are signed in as a viewer: you may watch and listen.
        Stepping in needs the role operator.</p>`}
      ${(own || speakingIn.value === call.id) && html`<${Speaking} call=${call} />`}
      ${speakingTrouble.value && html`<p class="outcome bad" role="alert">${speakingTrouble.value}</p>`}
      ${holder && !own && html`<p class="outcome" role="status">${holder} has taken this call over and speaks with the caller.</p>`}
      ${call.story.approvals.map((asked) => html`<${Waiting} key=${asked.id} call=${call} asked=${asked} />`)}
      ${(open === "say" || open === "whisper") && html`<${Line} key=${open} call=${call} kind=${open} onDone=${close} />`}
      ${(open === "hangup" || open === "transfer" || open === "takeover") && html`<${Question} key=${open} call=${call} kind=${open} onClose=${close} />`}
    </section>`;
}
