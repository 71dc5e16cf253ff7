// The shell: who is signed in, which page is shown, and what is true for all pages.
import { render } from "preact";
import { effect, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { refocusSoon } from "./focus.js";
import { html, lazy } from "./html.js";
import { askAgain, loginFromAddress, token } from "./api.js";
import { listeningTo, stopListening } from "./audio.js";
import { connection } from "./socket.js";
import { calls, follow } from "./state.js";
import { loadCall } from "./pages/live.js";
import { pages } from "./pages.js";
import { address, route } from "./router.js";
import { Banner, Header } from "./components/header.js";

const Login = lazy(() => import("./components/login.js"), "Login");
const LoginAgain = lazy(() => import("./components/login.js"), "LoginAgain");

/** Modules of pages that were shown already; null is one that could not be loaded. */
const loaded = signal(/** @type {Map<string, any>} */ (new Map()));

/** @param {string} name */
function loadPage(name) {
  const entry = pages.find((page) => page.name === name);
  if (!entry) return;
  entry.load().then(
    (module) => (loaded.value = new Map(loaded.value).set(name, module.default)),
    () => (loaded.value = new Map(loaded.value).set(name, null)),
  );
}

/** @param {{title: string, text: string, action?: any}} props */
const Place = ({ title, text, action }) => html`<main class="place"><h1>${title}</h1><p class="quiet">${text}</p>${action}</main>`;

function Page() {
  const { page, rest, query } = route.value;
  const entry = pages.find((known) => known.name === page);
  const title = entry?.title ?? "Not found";
  const before = useRef(/** @type {string | null} */ (null));
  const opened = rest[0] ?? "";
  useEffect(() => {
    if (before.current !== null) refocusSoon(opened ? "" : before.current); // not when the page is loaded: it begins at its top
    before.current = opened;
  }, [page, opened]);
  useEffect(() => {
    document.title = page === "live" ? "Callboard" : `${title} · Callboard`;
    if (!loaded.value.has(page)) loadPage(page);
  }, [page]);
  if (!entry) {
    return html`<${Place} title="There is no such page" text="The address may be old."
      action=${html`<a class="button" href=${address("live")}>All calls</a>`} />`;
  }
  const Content = loaded.value.get(page);
  if (Content === null) {
    return html`<${Place} title=${title} text="This page could not be loaded from the server."
      action=${html`<button class="button" type="button" onClick=${() => location.reload()}>Load again</button>`} />`;
  }
  if (!Content) return html`<main class="place" aria-busy="true"><p class="quiet" role="status">Loading …</p></main>`;
  return html`<${Content} rest=${rest} query=${query} />`;
}

function Shell() {
  useEffect(follow, []);
  const asked = useRef(false);
  asked.current ||= askAgain.value; // it stays, so that closing it gives the focus back
  return html`<div class="shell"><${Header} /><${Banner} /><${Page} />${asked.current && html`<${LoginAgain} />`}</div>`;
}

const App = () => (token.value ? html`<${Shell} />` : html`<${Login} />`);

// What opens a call is fetched once the page is live and nothing else is to be done: it is there when somebody clicks.
const idle = window.requestIdleCallback ?? ((/** @type {() => void} */ work) => setTimeout(work, 1000));
effect(() => {
  if (connection.value.phase === "live") idle(() => void loadCall().catch(() => {}));
});

// The sound of a call that is over ends by itself; what was sent ahead of time is still played.
effect(() => {
  if (calls.value.get(listeningTo.value)?.story.completed) stopListening();
});

loadPage(route.value.page);
await loginFromAddress();
const place = /** @type {HTMLElement} */ (document.getElementById("app"));
place.replaceChildren();
render(html`<${App} />`, place);
