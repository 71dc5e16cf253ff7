// What History has found. It stays while one reads a call, so that the way back leads to the list as it was.
import { signal } from "@preact/signals";
import { request } from "./api.js";
import { wordsOf } from "./components/resource.js";
import { boundsHere, periodOf, shifted, todayHere } from "./period.js";

const STALE_MS = 60000;
const PAGE = 30;
const TRIES = 4; // pages without a hit that are read before it is asked whether to go on

/**
 * @typedef {object} Found
 * @property {string} key the question
 * @property {Array<Record<string, any>>} calls heads, newest first
 * @property {string | null} cursor where the list goes on
 * @property {"loading" | "more" | "ready" | "failed"} phase
 * @property {string} error
 * @property {number} at when the question was asked (ms since epoch)
 */

/** @type {Found} */
const nothing = { key: "", calls: [], cursor: null, phase: "loading", error: "", at: 0 };
export const found = signal(nothing);
/** One line over the list: what was deleted. */
export const told = signal("");

/** The question of an address, as the server is asked. @param {URLSearchParams} query @returns {string} */
export function question(query) {
  const asked = new URLSearchParams();
  for (const name of ["q", "status", "flow", "outcome"]) {
    const value = query.get(name)?.trim();
    if (value) asked.set(name, value.slice(0, 200));
  }
  const { days, from, to } = periodOf(query, 0);
  const first = days ? shifted(todayHere(), 1 - days) : from;
  if (first) asked.set("from", boundsHere(first)[0]);
  if (to) asked.set("to", boundsHere(to)[1]);
  return asked.toString();
}

/** Ask, unless the answer is here and fresh. @param {string} key @param {boolean} [anew] */
export async function search(key, anew = false) {
  const fresh = found.value.key === key && found.value.phase === "ready" && Date.now() - found.value.at < STALE_MS;
  if (fresh && !anew) return;
  const calls = found.value.key === key ? found.value.calls : [];
  await read({ ...nothing, key, calls, at: Date.now() }, true);
}

/** The next page. */
export const more = () => read({ ...found.value, phase: "more", error: "" }, false);

/** @param {Found} start @param {boolean} anew */
async function read(start, anew) {
  let now = start;
  found.value = now;
  const mine = () => found.value === now;
  let { cursor } = start;
  /** @type {Array<Record<string, any>>} */
  let hits = [];
  try {
    for (let tries = 0; !hits.length && tries < TRIES && (tries === 0 || cursor); tries += 1) {
      const page = new URLSearchParams(start.key);
      page.set("limit", String(PAGE));
      if (cursor) page.set("cursor", cursor);
      const answer = await request(`/api/v1/calls?${page}`);
      if (!mine()) return; // another question was asked meanwhile
      hits = answer.calls;
      cursor = answer.next_cursor;
    }
    const known = new Set(anew ? [] : start.calls.map((call) => call.call_id));
    const fresh = hits.filter((call) => !known.has(call.call_id));
    found.value = { ...start, calls: anew ? fresh : [...start.calls, ...fresh], cursor, phase: "ready" };
  } catch (problem) {
    if (mine()) found.value = now = { ...start, phase: "failed", error: wordsOf(problem) };
  }
}

/** Calls that are no more. @param {(call: Record<string, any>) => boolean} gone @param {string} words */
export function drop(gone, words) {
  found.value = { ...found.value, calls: found.value.calls.filter((call) => !gone(call)) };
  told.value = words;
}
