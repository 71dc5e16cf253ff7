// What can be done with a call that is over: save it, delete it.
import { useState } from "preact/hooks";
import { paused } from "../focus.js";
import { html } from "../html.js";
import { Dialog } from "./dialog.js";
import { icons } from "./icons.js";
import { isKept } from "./player.js";
import { wordsOf } from "./resource.js";
import { may, request } from "../api.js";
import { fetchFile, save } from "../files.js";
import { drop } from "../found.js";
import { customerOf } from "../post_call.js";
import { go } from "../router.js";
import { forget } from "../state.js";
import { isRunning } from "../trouble.js";
import { phone } from "../words.js";
/** @import { CallView } from "../types.js" */

/** @type {Array<[string, string, string]>} */
const FORMATS = [["json", "JSON", "all of it"], ["csv", "CSV", "the journal as a table"], ["txt", "Text", "what was said"]];

/** @param {{id: string, audio: Record<string, any> | null | undefined}} props */
export function Export({ id, audio }) {
  const [busy, setBusy] = useState("");
  const [error, setError] = useState("");
  /** @param {string} format */
  const fetchIt = async (format) => {
    setBusy(format);
    setError("");
    try {
      save(await fetchFile(`/api/v1/calls/${encodeURIComponent(id)}/export?format=${format}`));
    } catch (problem) {
      setError(wordsOf(problem));
    } finally {
      setBusy("");
    }
  };
  const sound = /mpeg/.test(audio?.content_type ?? "") ? "MP3" : "WAV";
  const all = isKept(audio) ? [...FORMATS, ["wav", sound, "the sound"]] : FORMATS;
  return html`
    <div class="export" role="group" aria-label="Save this call as">
      ${all.map(([format, name, what]) => html`<button key=${format} class="button small-button" type="button" ...${paused(busy !== "")}
        title=${`Save ${what}`} onClick=${() => fetchIt(format)}>${icons.down()}${busy === format ? "…" : name}</button>`)}
      ${error && html`<p class="export-error error small" role="alert">${error}</p>`}
    </div>`;
}

/** @param {{call: CallView, onClose: () => void, onGone: (number: string, words: string) => void}} props */
function Question({ call, onClose, onGone }) {
  const [all, setAll] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const number = customerOf(call.head);
  const confirm = async () => {
    setBusy(true);
    setError("");
    try {
      if (!all) {
        await request(`/api/v1/calls/${encodeURIComponent(call.id)}`, { method: "DELETE" });
        return onGone("", "The call was deleted.");
      }
      const gone = await request("/api/v1/erase", { method: "POST", body: { phone: number } });
      const left = gone.ongoing.length ? ` ${gone.ongoing.length} still running were left alone.` : "";
      onGone(number, `Everything of ${phone(number)} was deleted: ${gone.calls} ${gone.calls === 1 ? "call" : "calls"}.${left}`);
    } catch (problem) {
      setError(wordsOf(problem));
      setBusy(false);
    }
  };
  return html`
    <${Dialog} title="Delete for good?" confirm=${busy ? "Deleting …" : "Delete"} danger busy=${busy} error=${error} onConfirm=${confirm} onClose=${onClose}>
      <p>What was said, the sound, the analysis and the journal are gone afterwards, everywhere. This cannot be undone.</p>
      ${number && html`<fieldset class="choice"><legend>What</legend>
        <label><input type="radio" name="what" value="call" checked=${!all} onChange=${() => setAll(false)} />This call</label>
        <label><input type="radio" name="what" value="number" checked=${all} onChange=${() => setAll(true)} />Everything of ${phone(number)}: all calls and messages</label>
      </fieldset>`}
    </${Dialog}>`;
}

/** For administrators; others are told why not. @param {{call: CallView, back: string}} props */
export function Erase({ call, back }) {
  const [asked, setAsked] = useState(false);
  const [refused, setRefused] = useState("");
  const why = !may("admin") ? "Deleting a call needs the role admin." : isRunning(call) ? "A call that goes on cannot be deleted." : "";
  const press = () => {
    setRefused(why);
    setAsked(!why);
  };
  /** @param {string} number @param {string} words */
  const gone = (number, words) => {
    forget(call.id);
    drop((head) => head.call_id === call.id || (number !== "" && customerOf(head) === number), words);
    go(back, { replace: true });
  };
  return html`
    <div class="erase">
      <button class="button small-button danger-text" type="button" aria-disabled=${why ? "true" : undefined} onClick=${press}>${icons.cross()}Delete</button>
      ${refused && html`<p class="erase-why small" role="alert">${refused}</p>`}
      ${asked && html`<${Question} call=${call} onClose=${() => setAsked(false)} onGone=${gone} />`}
    </div>`;
}
