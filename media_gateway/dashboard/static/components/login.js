import { useState } from "preact/hooks";
import { html } from "../html.js";
import { login, loginNotice } from "../api.js";

/** Sign in with a name and a password; the one-time link skips this page. */
export function Login() {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");

  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    setBusy(true);
    setError("");
    try {
      await login(String(form.get("username")), String(form.get("password")));
      loginNotice.value = "";
    } catch (problem) {
      setError(problem instanceof Error ? problem.message : String(problem));
      setBusy(false);
    }
  }

  return html`
    <main class="login">
      <form class="login-card" onSubmit=${submit}>
        <h1 class="wordmark"><img src="/static/favicon.svg" alt="" width="32" height="32" />Callboard</h1>
        <p class="quiet">See every call while it happens.</p>
        ${loginNotice.value && html`<p class="notice" role="status">${loginNotice.value}</p>`}
        <label>Name<input name="username" autocomplete="username" required autofocus /></label>
        <label>Password<input name="password" type="password" autocomplete="current-password" required /></label>
        ${error && html`<p class="error" role="alert">${error}</p>`}
        <button class="button primary" type="submit" disabled=${busy}>${busy ? "Signing in …" : "Sign in"}</button>
        <p class="quiet small">Running it on your own machine? The server prints a one-time link when it starts.</p>
      </form>
    </main>`;
}
