// The live page: all calls at once, or one of them opened beside the others.
import { useEffect } from "preact/hooks";
import { html, lazy } from "../html.js";
import { Board } from "../components/board.js";
import { CallList } from "../components/call_list.js";
import { letGo } from "../components/order.js";
import { openCall, openId } from "../state.js";

export const loadCall = () => import("../components/call_view.js");
const waiting = html`<main class="place" aria-busy="true"><p class="quiet" role="status">Loading the call …</p></main>`;
const OpenCall = lazy(loadCall, "OpenCall", waiting);

export default function Live() {
  useEffect(letGo, [openId.value]);
  if (!openId.value) return html`<${Board} />`;
  const call = openCall.value;
  return html`
    <div class="live-page has-open">
      <${CallList} />
      ${call ? html`<${OpenCall} call=${call} />` : waiting}
    </div>`;
}
