// Pure: what is left of a call that a vendor's agent held, in the shapes that the page draws.
/** @import { CallView, Item } from "./types.js" */

/**
 * The call with the words of its record where its journal has none.
 * @param {CallView} call @param {Record<string, any> | null} post `post_call` of GET /api/v1/calls/{id} @returns {CallView}
 */
export function withRecord(call, post) {
  const spoken = call.story.items.some((item) => item.kind === "user" || item.kind === "assistant");
  const lines = post?.transcript ?? [];
  if (spoken || !lines.length) return call;
  const start = Date.parse(call.head.started_at ?? "");
  const items = lines.flatMap((/** @type {any} */ line, /** @type {number} */ at) => itemsOf(line, at, start));
  return { ...call, story: { ...call.story, items, turns: lines.filter((/** @type {any} */ line) => line.role === "user").length } };
}

/** @param {Record<string, any>} line @param {number} at @param {number} start ms since epoch @returns {Item[]} */
function itemsOf(line, at, start) {
  const moment = start + (line.time_in_call_secs ?? 0) * 1000;
  const ts = Number.isNaN(moment) ? "" : new Date(moment).toISOString();
  /** @type {Item[]} */
  const items = [];
  if (line.message) items.push({ kind: line.role === "user" ? "user" : "assistant", key: `r${at}`, text: line.message, cut: "", ts });
  for (const [index, one] of (line.tool_calls ?? []).entries()) {
    items.push({ kind: "tool", key: `r${at}t${index}`, tool: one.tool ?? "", args: one.arguments ?? {}, result: one.result, ok: one.ok !== false, ms: null, ts });
  }
  return items;
}

/** The number of the customer; "" where there is none. @param {Record<string, any>} head */
export const customerOf = (head) => String(head.caller_phone || (head.direction === "outbound" ? head.to_number : head.from_number) || "");
