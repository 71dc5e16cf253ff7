// History: every call there was, found by its words, its number, its date or what came of it; or one of them.
import { html } from "../html.js";
import { HistoryCall } from "../components/history_call.js";
import { HistoryList } from "../components/history_list.js";
/** @import { PageProps } from "../types.js" */

/** @param {PageProps} props */
export default function History({ rest, query }) {
  return rest[0] ? html`<${HistoryCall} key=${rest[0]} id=${rest[0]} query=${query} />` : html`<${HistoryList} query=${query} />`;
}
