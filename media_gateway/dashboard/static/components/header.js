import { useState } from "preact/hooks";
import { html } from "../html.js";
import { icons } from "./icons.js";
import { now } from "./clock.js";
import { connection } from "../socket.js";
import { open, recovered } from "../state.js";
import { setToken } from "../api.js";
import { mute } from "../audio.js";

const THEME = "callboard.theme";

const systemDark = () => matchMedia("(prefers-color-scheme: dark)").matches;

function ThemeButton() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? (systemDark() ? "dark" : "light"));
  const other = theme === "dark" ? "light" : "dark";
  const change = () => {
    document.documentElement.dataset.theme = other;
    localStorage.setItem(THEME, other);
    setTheme(other);
  };
  return html`<button class="button icon-only" type="button" onClick=${change} aria-label=${`Use the ${other} theme`}
    title=${`Use the ${other} theme`}>${theme === "dark" ? icons.sun() : icons.moon()}</button>`;
}

function leave() {
  mute();
  setToken(null);
}

/** @param {MouseEvent} event */
function home(event) {
  event.preventDefault();
  open(null);
}

export function Header() {
  const { phase } = connection.value;
  const words = { live: "Live", connecting: "Connecting", waiting: "Disconnected" }[phase];
  return html`
    <header class="top">
      <a class="wordmark" href="/" onClick=${home} aria-label="Callboard, all calls">
        <img src="/static/favicon.svg" alt="" width="28" height="28" />Callboard</a>
      <p class=${`link-state ${phase}`} role="status"><span class="dot" aria-hidden="true"></span>${words}</p>
      <${ThemeButton} />
      <button class="button icon-only" type="button" onClick=${leave} aria-label="Sign out" title="Sign out">
        ${icons.leave()}</button>
    </header>`;
}

/** Tells the truth while there is no connection, and what came of it afterwards. */
export function Banner() {
  const { phase, retryAt } = connection.value;
  if (phase === "waiting") {
    const seconds = Math.max(0, Math.ceil((retryAt - now.value) / 1000));
    return html`<p class="banner bad">
      <span role="alert">Not connected to the server: what you see is not live.</span>
      <span> ${seconds > 0 ? `Trying again in ${seconds} s.` : "Trying again now."}</span></p>`;
  }
  if (recovered.value) return html`<p class="banner good" role="status">${recovered.value}</p>`;
  return null;
}
