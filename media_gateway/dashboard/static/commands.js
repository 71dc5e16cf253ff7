// What a supervisor does to a call: asked of the server, and its result awaited from the journal.
import { signal } from "@preact/signals";
import { request } from "./api.js";

/** @typedef {"say" | "whisper" | "transfer" | "takeover" | "release" | "hangup" | "approve" | "refuse"} Kind */
/** @typedef {{id: string, callId: string, kind: Kind, at: number}} Sent */

const KEPT = 20;

/** The commands of this tab, the newest last. Their results are in the call's story. */
export const sent = signal(/** @type {Sent[]} */ ([]));

/**
 * Raises ApiError: 403 for who may not, 404 and 409 with the reason (another supervisor holds the call, it is over).
 * @param {string} callId @param {Kind} kind @param {Record<string, any>} [body] @returns {Promise<Sent>}
 */
export async function command(callId, kind, body = {}) {
  const path = `/api/v1/calls/${encodeURIComponent(callId)}/${kind}`;
  const { command_id: id } = await request(path, { method: "POST", body });
  const one = { id, callId, kind, at: Date.now() };
  sent.value = [...sent.value, one].slice(-KEPT);
  return one;
}
