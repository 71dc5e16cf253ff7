// One's own password: chosen at the first sign-in, changed whenever one likes.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../html.js";
import { Dialog } from "./dialog.js";
import { changePassword } from "../api.js";

const SHORTEST = 12; // as the server has it

/**
 * What is wrong with it, for people; "" if nothing is.
 * @param {string} current @param {string} chosen @param {string} again
 */
export function fault(current, chosen, again) {
  if (chosen.length < SHORTEST) return `A password has at least ${SHORTEST} characters.`;
  if (chosen !== again) return "These are two different passwords.";
  return chosen === current ? "That is the password you have." : "";
}

/** Two fields for one new password. @param {{focus?: boolean}} props */
export function Chosen({ focus = false }) {
  const first = /** @type {{current: HTMLInputElement | null}} */ (useRef(null));
  useEffect(() => {
    if (focus) first.current?.focus(); // `autofocus` counts once a page, and the sign-in had it
  }, []);
  return html`
    <label>New password<input name="chosen" ref=${first} type="password" autocomplete="new-password" required minlength=${SHORTEST} />
      <span class="hint quiet small">${SHORTEST} characters or more</span></label>
    <label>The same again<input name="again" type="password" autocomplete="new-password" required /></label>`;
}

/** @param {{onClose: () => void, onDone: () => void}} props */
export function PasswordDialog({ onClose, onDone }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  /** @param {FormData} form */
  async function change(form) {
    const [current, chosen, again] = ["current", "chosen", "again"].map((name) => String(form.get(name)));
    const wrong = fault(current, chosen, again);
    setError(wrong);
    if (wrong) return;
    setBusy(true);
    try {
      await changePassword(current, chosen);
      onDone();
      onClose();
    } catch (problem) {
      setError(problem instanceof Error ? problem.message : String(problem));
      setBusy(false);
    }
  }
  return html`
    <${Dialog} title="Change your password" confirm=${busy ? "Changing …" : "Change it"} busy=${busy} error=${error} onConfirm=${change} onClose=${onClose}>
      <label>The one you have<input name="current" type="password" autocomplete="current-password" required /></label>
      <${Chosen} />
      <p class="quiet small">Your other sessions end; this one goes on.</p>
    </${Dialog}>`;
}
