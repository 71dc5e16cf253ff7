// The first page: calls on the left, the opened one on the right.
import { render } from "preact";
import { effect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { html } from "./html.js";
import { loginFromAddress, token } from "./api.js";
import { listeningTo, stopListening } from "./audio.js";
import { calls, follow, openCall, openId } from "./state.js";
import { CallList } from "./components/call_list.js";
import { Empty } from "./components/empty.js";
import { Banner, Header } from "./components/header.js";
import { Login } from "./components/login.js";
import { OpenCall } from "./components/call_view.js";

function Board() {
  useEffect(follow, []);
  const call = openCall.value;
  return html`
    <div class=${`board ${openId.value ? "has-open" : ""}`}>
      <${Header} />
      <${Banner} />
      <${CallList} />
      ${call ? html`<${OpenCall} call=${call} />` : html`<${Empty} />`}
    </div>`;
}

const App = () => (token.value ? html`<${Board} />` : html`<${Login} />`);

// The sound of a call that is over ends by itself; what was sent ahead of time is still played.
effect(() => {
  if (calls.value.get(listeningTo.value)?.story.completed) stopListening();
});

await loginFromAddress();
const place = /** @type {HTMLElement} */ (document.getElementById("app"));
place.replaceChildren();
render(html`<${App} />`, place);
