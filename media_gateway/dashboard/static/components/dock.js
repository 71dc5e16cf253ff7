// Where one talks: the microphone, how loud it is, what it is, and typing instead.
import { useEffect, useState } from "preact/hooks";
import { html } from "../html.js";
import { icons } from "./icons.js";
import { HonestNote } from "./composer.js";
import { Level } from "./level.js";
import { levels } from "../audio.js";
import { chooseDevice, deviceId, devices, micLevel, micTrouble } from "../microphone.js";
import * as talk from "../talk.js";

const MicLevel = () => html`<${Level} level=${talk.heard.value ? micLevel.value : 0} label="How loud you are" />`;
const VoiceLevel = () => html`<${Level} level=${levels.value[2] ?? 0} label="How loud the assistant is" />`;

/** The space bar is the push-to-talk key, but not where one types or presses. */
function useSpace() {
  useEffect(() => {
    /** @param {KeyboardEvent} event */
    const key = (event) => {
      const at = /** @type {HTMLElement} */ (event.target);
      if (event.code !== "Space" || talk.mode.value !== "push" || !talk.micOn.value || at.closest("input, select, textarea, button, a, summary, [role=region]")) return;
      event.preventDefault();
      talk.held.value = event.type === "keydown";
    };
    const release = () => (talk.held.value = false);
    window.addEventListener("keydown", key);
    window.addEventListener("keyup", key);
    window.addEventListener("blur", release);
    return () => {
      window.removeEventListener("keydown", key);
      window.removeEventListener("keyup", key);
      window.removeEventListener("blur", release);
    };
  }, []);
}

function PushButton() {
  const down = () => (talk.held.value = true);
  const up = () => (talk.held.value = false);
  /** @param {KeyboardEvent} event */
  const key = (event) => {
    if (event.key === " " || event.key === "Enter") talk.held.value = event.type === "keydown";
  };
  return html`<button class=${`button push ${talk.held.value ? "down" : ""}`} type="button" aria-pressed=${String(talk.held.value)}
    onPointerDown=${down} onPointerUp=${up} onPointerLeave=${up} onPointerCancel=${up} onKeyDown=${key} onKeyUp=${key} onBlur=${up}>
    ${icons.microphone()}<span>${talk.held.value ? "Listening" : "Hold to talk"}</span></button>`;
}

function Microphone() {
  if (!talk.micOn.value) {
    return html`<button class="button primary" type="button" onClick=${talk.useMicrophone}>${icons.microphone()}<span>Use the microphone</span></button>`;
  }
  return html`
    ${talk.mode.value === "push" ? html`<${PushButton} />` : html`<span class="listening">${icons.microphone()}Listening</span>`}
    <${MicLevel} />
    <button class="button small-button" type="button" onClick=${talk.muteMicrophone}>Microphone off</button>`;
}

/** @param {any} event */
async function otherDevice(event) {
  chooseDevice(event.currentTarget.value);
  if (talk.micOn.value) await talk.useMicrophone();
}

function Settings() {
  return html`
    <div class="dock-settings">
      <fieldset class="segments"><legend class="hidden">How the microphone works</legend>
        ${/** @type {const} */ ([["open", "Open mic"], ["push", "Push to talk"]]).map(([value, words]) => html`
          <label key=${value} class=${talk.mode.value === value ? "on" : ""}><input type="radio" name="mic-mode" value=${value}
            checked=${talk.mode.value === value} onChange=${() => talk.setMode(value)} />${words}</label>`)}
      </fieldset>
      ${devices.value.length > 1 && html`<label class="device"><span class="hidden">Microphone</span>
        <select value=${deviceId.value} onChange=${otherDevice}>
          <option value="">Usual microphone</option>
          ${devices.value.map((one) => html`<option key=${one.id} value=${one.id}>${one.name}</option>`)}</select></label>`}
      <button class="button small-button" type="button" aria-pressed=${String(!talk.speakerOn.value)} onClick=${talk.toggleSpeaker}>
        ${talk.speakerOn.value ? icons.sound() : icons.silent()}<span>${talk.speakerOn.value ? "Speaker on" : "Speaker muted"}</span></button>
      <${VoiceLevel} />
    </div>`;
}

/** @param {{label: string, placeholder: string, onText: (text: string) => void}} props */
export function TypeLine({ label, placeholder, onText }) {
  const [text, setText] = useState("");
  /** @param {SubmitEvent} event */
  const submit = (event) => {
    event.preventDefault();
    if (!text.trim()) return;
    onText(text.trim());
    setText("");
  };
  return html`
    <form class="type-line" onSubmit=${submit}>
      <label for="type-line">${label}</label>
      <div class="composer-line">
        <input id="type-line" value=${text} maxlength="1000" autocomplete="off" placeholder=${placeholder}
          onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} />
        <button class="button primary icon-only" type="submit" disabled=${!text.trim()} aria-label="Send">${icons.send()}</button>
      </div>
    </form>`;
}

/** While a conversation goes on in this tab. */
export function Dock() {
  useSpace();
  return html`
    <div class="dock">
      <div class="dock-row"><${Microphone} />
        <button class="button danger-text small-button end" type="button" onClick=${talk.hangUp}>${icons.hangup()}<span>End</span></button></div>
      ${micTrouble.value && html`<p class="notice" role="alert">${micTrouble.value}</p>`}
      ${talk.unsent.value.length > 0 && html`<p class="quiet small" role="status">Said as soon as it can be: ${talk.unsent.value.join(" ")}</p>`}
      <${TypeLine} label="Or type" placeholder="Tomorrow at two, please" onText=${talk.say} />
      <${Settings} />
      <${HonestNote} />
    </div>`;
}
