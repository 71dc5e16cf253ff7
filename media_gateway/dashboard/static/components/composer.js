import { useState } from "preact/hooks";
import { html } from "../html.js";
import { icons } from "./icons.js";
import { start } from "./start.js";
import { about } from "../state.js";
import { sayInDemoCall } from "../api.js";

/** What the demo engines can and cannot do, said before somebody is disappointed. */
export function HonestNote() {
  const hearing = about.value?.engines.find((engine) => /hear|stt/i.test(engine.stage));
  if (hearing && !hearing.demo) return null;
  return html`<p class="quiet small honest">
    The demo recogniser knows booking words only: services, days, times, yes and no. Free talk needs a real engine.</p>`;
}

/**
 * A place to type as the caller. Without a call, typing starts one.
 * @param {{callId: string | null, label: string, placeholder: string}} props
 */
export function Composer({ callId, label, placeholder }) {
  const [text, setText] = useState("");
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);

  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    const line = text.trim();
    if (!line || busy) return;
    setBusy(true);
    setError("");
    setText("");
    try {
      if (callId) await sayInDemoCall(callId, line);
      else if (!(await start({ scenario: null, text: line }))) setText(line);
    } catch (problem) {
      setError(problem instanceof Error ? problem.message : String(problem));
      setText(line);
    } finally {
      setBusy(false);
    }
  }

  const id = callId ? "say-in-call" : "say-first";
  return html`
    <form class="composer" onSubmit=${submit}>
      <label for=${id}>${label}</label>
      <div class="composer-line">
        <input id=${id} value=${text} maxlength="500" autocomplete="off" placeholder=${placeholder}
          onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} />
        <button class="button primary icon-only" type="submit" disabled=${!text.trim() || busy} aria-label="Send">
          ${icons.send()}</button>
      </div>
      ${error && html`<p class="error" role="alert">${error}</p>`}
      <${HonestNote} />
    </form>`;
}
