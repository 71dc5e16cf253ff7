import { useState } from "preact/hooks";
import { html, lazy } from "../html.js";
import { icons } from "./icons.js";
import { now } from "./clock.js";
import { connection } from "../socket.js";
import { recovered } from "../state.js";
import { askAgain, me, setToken } from "../api.js";
import { mute } from "../audio.js";
import { pages } from "../pages.js";
import { address, route } from "../router.js";

const PasswordDialog = lazy(() => import("./password.js"), "PasswordDialog");
const THEME = "callboard.theme";
const WARN_MS = 10 * 60 * 1000; // so long before the session ends the page offers to go on

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

/** For users of the store: others have their password in the environment. */
function PasswordButton() {
  const [asking, setAsking] = useState(false);
  const [changed, setChanged] = useState(false);
  if (!me.value?.kept) return null;
  return html`
    <button class="button icon-only" type="button" onClick=${() => setAsking(true)} aria-label="Change your password" title="Change your password">
      ${icons.key()}</button>
    <span class="hidden" role="status">${changed ? "Your password is changed." : ""}</span>
    ${asking && html`<${PasswordDialog} onClose=${() => setAsking(false)} onDone=${() => setChanged(true)} />`}`;
}

function leave() {
  mute();
  setToken(null);
}

/** Past the navigation, which is the same everywhere. */
function skip() {
  const main = document.querySelector("main");
  if (!main) return;
  main.tabIndex = -1;
  main.focus();
}

/** Where one can go. Below the page on a narrow screen. */
export function Navigation() {
  return html`
    <nav class="pages" aria-label="Pages">
      <ul>${pages.map((page) => html`
        <li key=${page.name}><a href=${address(page.name)} aria-current=${route.value.page === page.name ? "page" : undefined}>
          ${page.icon()}<span>${page.title}</span></a></li>`)}</ul>
    </nav>`;
}

export function Header() {
  const { phase } = connection.value;
  const words = { live: "Live", connecting: "Connecting", waiting: "Disconnected", polling: "Not live", degraded: "Degraded", stopped: "Stopped" }[phase];
  const who = me.value?.user ? `Sign out ${me.value.user} (${me.value.role})` : "Sign out";
  return html`
    <header class="top">
      <button class="button skip" type="button" onClick=${skip}>Skip to the page</button>
      <a class="wordmark" href="#/" aria-label="Callboard, all calls">
        <img src="/static/favicon.svg" alt="" width="28" height="28" /><span>Callboard</span></a>
      <${Navigation} />
      <p class=${`link-state ${phase}`} role="status"><span class="dot" aria-hidden="true"></span>${words}</p>
      <${ThemeButton} />
      <${PasswordButton} />
      <button class="button icon-only" type="button" onClick=${leave} aria-label=${who} title=${who}>
        ${icons.leave()}</button>
    </header>`;
}

/** What is to be known about the page as a whole, the most urgent first: no connection, a session that ends, what came
 * of a lost connection. */
export function Banner() {
  const { phase, retryAt } = connection.value;
  if (phase === "waiting") {
    const seconds = Math.max(0, Math.ceil((retryAt - now.value) / 1000));
    return html`<p class="banner bad">
      <span role="alert">Not connected to the server: what you see is not live.</span>
      <span> ${seconds > 0 ? `Trying again in ${seconds} s.` : "Trying again now."}</span></p>`;
  }
  if (phase === "stopped") {
    return html`<p class="banner bad"><span role="alert">The server has ended this page's live connection.</span>
      <button class="button small-button" type="button" onClick=${() => location.reload()}>Load again</button></p>`;
  }
  if (phase === "polling") {
    return html`<p class="banner plain" role="status">No live connection: the journal is read every two seconds instead. Nothing is lost, words come late.</p>`;
  }
  if (phase === "degraded") {
    return html`<p class="banner plain" role="status">The server cannot reach its store. Calls go on; what you see may be some moments old.</p>`;
  }
  const left = (me.value?.expires || Infinity) - now.value;
  if (left < WARN_MS) {
    const minutes = Math.max(1, Math.ceil(left / 60000));
    return html`<p class="banner plain"><span role="status">Your session ends in ${minutes} min.</span>
      <button class="button small-button" type="button" onClick=${() => (askAgain.value = true)}>Sign in again</button></p>`;
  }
  if (recovered.value) return html`<p class="banner good" role="status">${recovered.value}</p>`;
  return null;
}
