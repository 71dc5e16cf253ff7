import { html } from "../html.js";
import { icons } from "./icons.js";
import { Lasted, StatusChip, Trouble, who } from "./tile.js";
import { Composer } from "./composer.js";
import { Side } from "./side.js";
import { StartButton, StartError } from "./start.js";
import { StepIn } from "./step_in.js";
import { Transcript } from "./transcript.js";
import { Wave } from "./wave.js";
import { address } from "../router.js";
import { connection } from "../socket.js";
import { about, mine, open } from "../state.js";
import { isRunning, statusOf } from "../trouble.js";
import { levels, listen, listeningTo, mute, soundTrouble } from "../audio.js";
import { flowWords } from "../words.js";
/** @import { CallView } from "../types.js" */

/** Loudness as it is felt: 40 dB on the height of the bar. @param {number} peak @returns {number} 0 to 1 */
const height = (peak) => Math.min(1, Math.max(0, 1 + Math.log10(Math.max(peak, 1e-4)) / 2));

function Meter() {
  const [caller, assistant] = levels.value.map(height);
  return html`<span class="meter" aria-hidden="true">
    <span class="meter-track"><span class="meter-bar user" style=${{ transform: `scaleY(${caller})` }}></span></span>
    <span class="meter-track"><span class="meter-bar assistant" style=${{ transform: `scaleY(${assistant})` }}></span></span>
  </span>`;
}

/** @param {{call: CallView}} props */
function Listen({ call }) {
  const on = listeningTo.value === call.id;
  if (!on && !isRunning(call)) return null;
  return html`<button class="button listen" type="button" aria-pressed=${on ? "true" : "false"}
    onClick=${() => (on ? mute() : listen(call.id))}>
    ${on ? icons.sound() : icons.silent()}<span>Listen</span>${on && html`<${Meter} />`}</button>`;
}

/** @param {{call: CallView}} props */
function Foot({ call }) {
  if (isRunning(call)) {
    if (!mine.value.has(call.id) && !call.head.metadata?.demo) return null;
    return html`<${Composer} callId=${call.id} label="Say something as the caller" placeholder="Tomorrow at two, please" />`;
  }
  return html`<div class="ended"><p class="quiet">This call has ended.</p>
    ${about.value?.demo && html`<${StartButton} words="Start another demo call" /><${StartError} />`}</div>`;
}

/** Why there are no words yet. @param {CallView} call */
function silence(call) {
  if (!call.loaded) return ["waiting", "stopped"].includes(connection.value.phase) ? "Not connected. What was said is read as soon as there is a connection." : "Loading what was said …";
  if (!isRunning(call)) return "Nothing was said in this call.";
  return statusOf(call) === "in_progress" ? "Nothing was said yet. The words appear here as they are spoken." : "Ringing. The words appear here as they are spoken.";
}

/** An address that leads to no call. */
const Missing = () => html`<main class="place"><h1>There is no such call</h1>
  <p class="quiet">The address may be wrong, or the call is not kept any more.</p>
  <a class="button" href=${address("live")}>All calls</a></main>`;

/** One call, opened. @param {{call: CallView}} props */
export function OpenCall({ call }) {
  const flow = flowWords(call.head.flow);
  const running = isRunning(call);
  if (call.missing) return html`<${Missing} />`;
  return html`
    <main class="call" aria-labelledby="call-title">
      <header class="call-head">
        <button class="button icon-only back" type="button" onClick=${() => open(null)} aria-label="Back to all calls">
          ${icons.back()}</button>
        <div class="call-name">
          <h1 id="call-title">${who(call)}</h1>
          <p class="quiet small"><span role="status"><${StatusChip} status=${statusOf(call)} /></span>
            <span>${flow}${flow && " · "}<${Lasted} key=${call.id} call=${call} /></span>
            ${running && html`<${Trouble} key=${call.id} call=${call} />`}</p>
        </div>
        ${listeningTo.value === call.id && html`<${Wave} />`}
        <${Listen} call=${call} />
      </header>
      ${running && html`<${StepIn} call=${call} />`}
      ${soundTrouble.value && html`<p class="banner plain" role="status">${soundTrouble.value}</p>`}
      <div class="call-body">
        <div class="talk-column">
          <${Transcript} call=${call} waiting=${silence(call)} />
          <${Foot} call=${call} />
        </div>
        <${Side} call=${call} />
      </div>
    </main>`;
}
