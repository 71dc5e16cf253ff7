import { signal } from "@preact/signals";
import { paused } from "../focus.js";
import { html } from "../html.js";
import { icons } from "./icons.js";
import { startDemo } from "../state.js";
import { listen, prepareSound, soundTrouble } from "../audio.js";

/** The scripted caller of the button; a call without a scenario waits for typed words. */
const SCENARIO = "book_oil_change";

/** Why the last start did not work; "" when it did. */
export const startError = signal("");
const starting = signal(false);

/**
 * Place a demo call and hear it. Must run inside a click, or the browser gives no sound.
 * @param {{scenario?: string | null, text?: string}} body
 * @returns {Promise<boolean>} whether the call was placed; if not, `startError` says why
 */
export async function start(body) {
  if (starting.value) return false;
  starting.value = true;
  startError.value = "";
  const sound = prepareSound().then(() => true, () => false);
  try {
    const id = await startDemo(body);
    if (await sound) void listen(id);
    else soundTrouble.value = "This browser gave no sound. The transcript goes on.";
    return true;
  } catch (problem) {
    startError.value = problem instanceof Error ? problem.message : String(problem);
    return false;
  } finally {
    starting.value = false;
  }
}

/** @param {{compact?: boolean, words?: string}} props */
export function StartButton({ compact = false, words = compact ? "Demo call" : "Start a demo call" }) {
  return html`<button class=${`button ${compact ? "small-button" : "primary big"}`} type="button"
    ...${paused(starting.value)} onClick=${() => start({ scenario: SCENARIO })}>${icons.phone()}<span>${starting.value ? "Calling …" : words}</span></button>`;
}

export function StartError() {
  return startError.value ? html`<p class="error" role="alert">${startError.value}</p>` : null;
}
