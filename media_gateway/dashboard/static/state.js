// Everything the page knows, and how news changes it.
import { signal, computed, batch } from "@preact/signals";
import * as api from "./api.js";
import { connectEvents } from "./socket.js";
import { apply, contiguous, emptyCall, normalise, TERMINAL } from "./fold.js";
/** @import { About, CallEvent, CallView } from "./types.js" */

const GAP_MS = 120;
const SEEN_LIMIT = 20000;
const MINE = "callboard.demo-calls";

export const about = signal(/** @type {About | null} */ (null));
export const calls = signal(/** @type {Map<string, CallView>} */ (new Map()));
export const openId = signal(/** @type {string | null} */ (null));
export const listState = signal(/** @type {"loading" | "ready" | "failed"} */ ("loading"));
/** One line under the header after a reconnect; "" when there is nothing to say. */
export const recovered = signal("");
/** The demo calls that this tab placed: only they can be typed into. */
export const mine = signal(new Set(/** @type {string[]} */ (JSON.parse(sessionStorage.getItem(MINE) ?? "[]"))));

export const openCall = computed(() => (openId.value ? calls.value.get(openId.value) ?? null : null));
/** Running calls first, then the newest. */
export const ordered = computed(() =>
  [...calls.value.values()].sort((a, b) => {
    const running = Number(isRunning(b)) - Number(isRunning(a));
    return running || startedAt(b).localeCompare(startedAt(a)) || a.id.localeCompare(b.id);
  }),
);

/** @type {Array<[string, number, string]>} what the tests compare with the journal */
const seen = [];
Object.assign(window, { __callboard: { seen } });

/** @param {CallView} call */
export const statusOf = (call) => {
  const heard = call.story.status;
  const told = call.head.status;
  return TERMINAL.has(told) && !TERMINAL.has(heard ?? "") ? told : heard ?? told ?? "initiated";
};
/** @param {CallView} call */
export const isRunning = (call) => !TERMINAL.has(statusOf(call));
/** @param {CallView} call @returns {string} */
export const startedAt = (call) => call.head.started_at || call.events[0]?.ts || "";
/** @param {CallView} call @returns {string} */
export const endedAt = (call) => call.story.endedAt || call.head.ended_at || "";

/** @param {string} id @param {(call: CallView) => CallView} change */
function update(id, change) {
  const before = calls.value.get(id) ?? emptyCall(id);
  const after = change(before);
  if (after === before && calls.value.has(id)) return;
  calls.value = new Map(calls.value).set(id, after);
}

/** @param {CallEvent} event */
function take(event) {
  update(event.callId, (call) => {
    const next = apply(call, event);
    if (next !== call && event.seq) {
      seen.push([event.callId, event.seq, event.event]);
      if (seen.length > SEEN_LIMIT) seen.splice(0, seen.length - SEEN_LIMIT);
    }
    return next;
  });
  if (event.seq && !calls.value.get(event.callId)?.head.call_id) refreshListSoon();
}

/** @param {any} message a frame of /ws/events */
function onMessage(message) {
  const event = normalise(message);
  if (!event) return;
  take(event);
  const call = calls.value.get(event.callId);
  if (call && event.seq && event.callId === openId.value && contiguous(call) < (call.events.at(-1)?.seq ?? 0)) {
    catchUpSoon(event.callId);
  }
}

/** @type {Map<string, number>} */
const timers = new Map();
/** @param {string} key @param {() => void} work */
function soon(key, work) {
  if (timers.has(key)) return;
  timers.set(key, setTimeout(() => {
    timers.delete(key);
    work();
  }, GAP_MS));
}

/** @param {string} id */
const catchUpSoon = (id) => soon(id, () => void catchUp(id));
const refreshListSoon = () => soon("list", () => void refreshList());

/** @type {Map<string, Promise<number>>} */
const running = new Map();

/**
 * Read from the journal what this page has not seen of a call.
 * @param {string} id @returns {Promise<number>} how many events were new
 */
export function catchUp(id) {
  const already = running.get(id);
  if (already) return already;
  const work = readJournal(id).finally(() => running.delete(id));
  running.set(id, work);
  return work;
}

/** @param {string} id */
async function readJournal(id) {
  let after = contiguous(calls.value.get(id) ?? emptyCall(id));
  const before = calls.value.get(id)?.events.length ?? 0;
  try {
    for (;;) {
      const { events } = await api.callEvents(id, after);
      const page = events.map(normalise).filter(Boolean);
      if (!page.length) break;
      batch(() => page.forEach(take));
      after = page.at(-1).seq;
    }
    update(id, (call) => ({ ...call, loaded: true }));
  } catch (error) {
    if (!(error instanceof api.ApiError)) throw error;
    // Offline: the reconnect reads it again. Any other refusal: what is on the page stays.
  }
  return (calls.value.get(id)?.events.length ?? 0) - before;
}

export async function refreshList() {
  try {
    const { calls: heads } = await api.listCalls();
    batch(() => {
      for (const head of heads) update(head.call_id, (call) => ({ ...call, head }));
      listState.value = "ready";
    });
  } catch {
    if (listState.value === "loading") listState.value = "failed";
  }
}

/** After a reconnect nothing may be missing: the list, and the journal of every call whose story is on the page. */
async function resume() {
  const told = [...calls.value.values()].filter((call) => call.loaded && !call.story.completed).map((call) => call.id);
  batch(() => {
    for (const id of told) update(id, (call) => ({ ...call, partial: null, reply: null }));
  });
  await refreshList();
  const counts = await Promise.all(told.map(catchUp));
  const missed = counts.reduce((all, count) => all + count, 0);
  recovered.value = missed
    ? `Connected again. ${missed} ${missed === 1 ? "event was" : "events were"} fetched; nothing is missing.`
    : "Connected again. Nothing was missed.";
  setTimeout(() => (recovered.value = ""), 6000);
}

/** @param {string | null} id */
export function open(id) {
  openId.value = id;
  // In the address, so that a reload or a link to a colleague shows the same call.
  history.replaceState(null, "", id ? `#call/${encodeURIComponent(id)}` : location.pathname);
  if (id && !calls.value.get(id)?.loaded) void catchUp(id);
}

/** @param {{scenario?: string | null, text?: string}} body @returns {Promise<string>} the call's id */
export async function startDemo(body) {
  const { call_id: id } = await api.startDemoCall(body);
  mine.value = new Set(mine.value).add(id);
  sessionStorage.setItem(MINE, JSON.stringify([...mine.value].slice(-50)));
  // Nothing is in its journal yet, perhaps not even its head: what comes is complete from its first event on.
  update(id, (call) => ({ ...call, loaded: true }));
  open(id);
  return id;
}

/** @returns {string | null} the call that the address names */
function addressed() {
  const found = /^#call\/(.+)$/.exec(location.hash);
  try {
    return found ? decodeURIComponent(found[1]) : null;
  } catch {
    return null;
  }
}

/** Start following the calls. @returns {() => void} stop, and forget what was seen */
export function follow() {
  void api.about().then((answer) => (about.value = answer)).catch(() => (about.value = null));
  void refreshList();
  const wanted = addressed();
  if (wanted) open(wanted);
  const stop = connectEvents({
    onMessage,
    onOpen: (again) => {
      if (again) void resume();
      else {
        void refreshList();
        if (openId.value) void catchUp(openId.value);
      }
    },
  });
  return () => {
    stop();
    batch(() => {
      calls.value = new Map();
      openId.value = null;
      listState.value = "loading";
    });
  };
}
