import { useEffect, useRef, useState } from "preact/hooks";
import { paused } from "../focus.js";
import { html } from "../html.js";
import { askAgain, changePassword, login, loginNotice, me } from "../api.js";
import { Chosen, fault } from "./password.js";

/**
 * Name and password; when that was given by an administrator, one's own.
 * @param {{onDone: () => void, user?: string}} props
 */
function Credentials({ onDone, user = "" }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const form = /** @type {{current: HTMLFormElement | null}} */ (useRef(null));
  useEffect(() => {
    // `autofocus` counts once a page, and one may come here from elsewhere. In a dialog it is the browser's own doing.
    /** @type {HTMLElement | null | undefined} */ (form.current?.querySelector("[autofocus]"))?.focus();
  }, []);
  const [first, setFirst] = useState(/** @type {{bearer: string, given: string} | null} */ (null));

  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    const wrong = first ? fault(first.given, String(form.get("chosen")), String(form.get("again"))) : "";
    setError(wrong);
    if (wrong) return;
    setBusy(true);
    try {
      if (first) {
        await changePassword(first.given, String(form.get("chosen")), first.bearer);
        return onDone();
      }
      const given = String(form.get("password"));
      const bearer = await login(String(form.get("username")), given);
      if (!bearer) return onDone();
      setFirst({ bearer, given });
      setBusy(false);
    } catch (problem) {
      setError(problem instanceof Error ? problem.message : String(problem));
      setBusy(false);
    }
  }

  if (first) {
    return html`
      <form class="credentials" onSubmit=${submit} aria-label="Choose a password">
        <p class="notice" role="status">That password was for the first time. Choose one that only you know.</p>
        <${Chosen} focus />
        ${error && html`<p class="error" role="alert">${error}</p>`}
        <button class="button primary" type="submit" ...${paused(busy)}>${busy ? "Signing in …" : "Choose it and sign in"}</button>
      </form>`;
  }
  return html`
    <form class="credentials" ref=${form} onSubmit=${submit}>
      <label>Name<input name="username" autocomplete="username" required autofocus=${!user} defaultValue=${user} /></label>
      <label>Password<input name="password" type="password" autocomplete="current-password" required autofocus=${Boolean(user)} /></label>
      ${error && html`<p class="error" role="alert">${error}</p>`}
      <button class="button primary" type="submit" ...${paused(busy)}>${busy ? "Signing in …" : "Sign in"}</button>
    </form>`;
}

/** The first page for who is not signed in; the one-time link skips it. */
export function Login() {
  const done = () => (loginNotice.value = "");
  return html`
    <main class="login">
      <div class="login-card">
        <h1 class="wordmark"><img src="/static/favicon.svg" alt="" width="32" height="32" />Callboard</h1>
        <p class="quiet">See every call while it happens.</p>
        ${loginNotice.value && html`<p class="notice" role="status">${loginNotice.value}</p>`}
        <${Credentials} onDone=${done} />
        <p class="quiet small">Running it on your own machine? The server prints a one-time link when it starts.</p>
      </div>
    </main>`;
}

/** The same over the page, before a session ends. */
export function LoginAgain() {
  const place = /** @type {{current: HTMLDialogElement | null}} */ (useRef(null));
  useEffect(() => {
    if (askAgain.value) place.current?.showModal();
    else place.current?.close();
  }, [askAgain.value]);
  const close = () => (askAgain.value = false);
  return html`
    <dialog class="dialog" ref=${place} onClose=${close} aria-labelledby="again-title">
      ${askAgain.value && html`<h2 id="again-title">Sign in again</h2>
        <p class="quiet">The page stays as it is.</p>
        <${Credentials} onDone=${close} user=${me.value?.user ?? ""} />
        <button class="button" type="button" onClick=${close}>Not now</button>`}
    </dialog>`;
}
