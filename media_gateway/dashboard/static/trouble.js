// Pure: which call needs a person's eye first, and how fast its assistant answers.
import { MOOD_TURNS, TERMINAL } from "./fold.js";
/** @import { CallView } from "./types.js" */

const SILENT_MS = 20000;
const QUICK_MS = 900;
const SLOW_MS = 1800;

/** @param {CallView} call */
export const statusOf = (call) => {
  const heard = call.story.status;
  const told = call.head.status;
  return TERMINAL.has(told) && !TERMINAL.has(heard ?? "") ? told : heard ?? told ?? "initiated";
};
/** @param {CallView} call */
export const isRunning = (call) => !TERMINAL.has(statusOf(call));
/** @param {CallView} call @returns {string} */
export const startedAt = (call) => call.head.started_at || call.story.startedAt;
/** @param {CallView} call @returns {string} */
export const endedAt = (call) => call.story.endedAt || call.head.ended_at || "";

/** Times and ids are plain text: no language decides their order. @param {string} a @param {string} b */
const inText = (a, b) => (a === b ? 0 : a < b ? -1 : 1);

/** @typedef {{rank: number, words: string}} Trouble the higher the rank, the sooner somebody should look */

/**
 * What is wrong with a running call; null when nothing is.
 * @param {CallView} call @param {number} now ms since epoch @returns {Trouble | null}
 */
export function troubleOf(call, now) {
  const { story } = call;
  if (!isRunning(call)) return null;
  if (story.approvals.length) return { rank: 90, words: "Waits for approval" };
  if (story.escalation && !story.withPerson && !story.holder) return { rank: 80, words: "Asked for a person" };
  if (story.fault) return { rank: 70, words: story.fault };
  const silent = now - Date.parse(story.wordsAt);
  if (!story.withPerson && !call.partial && !call.reply && silent > SILENT_MS) {
    return { rank: 50 + Math.min(9, story.idles), words: "Silent" };
  }
  if (moodOf(call) === "slow") return { rank: 20, words: "Slow answers" };
  return null;
}

/** How the caller feels the latency of the last turns. @param {CallView} call @returns {"quick" | "fair" | "slow" | ""} */
export function moodOf(call) {
  const last = call.story.latencies.slice(-MOOD_TURNS);
  if (!last.length) return "";
  const average = last.reduce((all, turn) => all + turn.total, 0) / last.length;
  if (average <= QUICK_MS) return "quick";
  return average <= SLOW_MS ? "fair" : "slow";
}

/**
 * Ids in the order of need: running before ended, trouble first, then the newest. With `held`, what was shown stays
 * where it was and what is new comes behind it.
 * @param {CallView[]} calls @param {number} now @param {string[] | null} held @returns {string[]}
 */
export function inOrder(calls, now, held = null) {
  const place = new Map((held ?? []).map((id, at) => [id, at]));
  const keyed = calls.map((call) => ({
    id: call.id, at: place.get(call.id) ?? Infinity, running: isRunning(call), rank: troubleOf(call, now)?.rank ?? 0,
    started: startedAt(call),
  }));
  keyed.sort((a, b) => (a.at === b.at ? 0 : a.at - b.at) || Number(b.running) - Number(a.running) || b.rank - a.rank
    || inText(b.started, a.started) || inText(a.id, b.id));
  return keyed.map((call) => call.id);
}
