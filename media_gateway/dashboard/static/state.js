// Everything the page knows of calls, and how news changes it.
import { signal, computed, batch } from "@preact/signals";
import * as api from "./api.js";
import { connectEvents } from "./socket.js";
import { applyAll, emptyCall, hasGap, normalise, toTile } from "./fold.js";
import { perFrame } from "./queue.js";
import { address, go, route } from "./router.js";
import { endedAt, isRunning, startedAt } from "./trouble.js";
/** @import { About, CallEvent, CallView } from "./types.js" */

const GAP_MS = 120;
const AGAIN_MS = 2000; // until a journal that could not be read is asked for again
const ENDED_LIMIT = 100;
const WHOLE_LIMIT = 4; // calls whose whole story is kept: the open one and those looked at before it
const MINE = "callboard.demo-calls";

export const about = signal(/** @type {About | null} */ (null));
export const calls = signal(/** @type {Map<string, CallView>} */ (new Map()));
/** @type {Map<string, import("@preact/signals").Signal<CallView | undefined>>} */
const views = new Map();

/** One call, for what shows only that one: it is told of nothing else. @param {string} id */
export function viewOf(id) {
  const known = views.get(id) ?? signal(calls.peek().get(id));
  views.set(id, known);
  return known;
}

/** The calls are these now. @param {Map<string, CallView>} all @param {Iterable<string>} changed */
function put(all, changed) {
  batch(() => {
    calls.value = all;
    for (const id of changed) {
      const view = views.get(id);
      if (view) view.value = all.get(id);
    }
    if (views.size > all.size) {
      for (const [id, view] of views) if (!all.has(id) && id !== openId.peek()) (view.value = undefined), views.delete(id);
    }
  });
}

export const listState = signal(/** @type {"loading" | "ready" | "failed"} */ ("loading"));
/** One line under the header after a reconnect; "" when there is nothing to say. */
export const recovered = signal("");
/** The demo calls that this tab placed: only they can be typed into. */
export const mine = signal(new Set(/** @type {string[]} */ (JSON.parse(sessionStorage.getItem(MINE) ?? "[]"))));

/** The call that the address names. */
export const openId = computed(() => (["live", "talk", "history"].includes(route.value.page) ? route.value.rest[0] ?? null : null));
export const openCall = computed(() => (openId.value ? viewOf(openId.value).value ?? null : null));

/** A test that compares what came with the journal leaves a list for it; nobody else keeps one. @param {CallEvent} event */
function taken(event) {
  /** @type {any} */ (window).__callboard?.seen.push([event.callId, event.seq, event.event]);
}

/** @param {Map<string, CallView>} all a copy @param {string} id @returns {CallView} */
const known = (all, id) => all.get(id) ?? emptyCall(id, {}, id === openId.value);

/** @param {string} id @param {(call: CallView) => CallView} change */
function update(id, change) {
  const after = change(known(calls.value, id));
  if (calls.value.get(id) === after) return;
  put(new Map(calls.value).set(id, after), [id]);
}

/** All that one frame brought, as one change. @param {CallEvent[]} events */
function takeAll(events) {
  /** @type {Map<string, CallEvent[]>} */
  const byCall = new Map();
  for (const event of events) {
    const list = byCall.get(event.callId);
    if (list) list.push(event);
    else byCall.set(event.callId, [event]);
  }
  const all = new Map(calls.value);
  for (const [id, some] of byCall) {
    const after = applyAll(known(all, id), some, taken);
    all.set(id, after);
    if (hasGap(after)) catchUpSoon(id);
    if (!after.head.call_id && some.some((event) => event.seq)) refreshListSoon();
  }
  put(bounded(all), byCall.keys());
}

const queue = perFrame(takeAll);

/** What another socket of this page was told. @param {any} message */
export const feed = (message) => onMessage(message);

/** @param {any} message a frame of the live socket */
function onMessage(message) {
  const event = normalise(message);
  if (event) queue.push(event);
}

/** Ended calls leave when there are too many, oldest first. @param {Map<string, CallView>} all */
function bounded(all) {
  if (all.size <= ENDED_LIMIT) return all;
  const ended = [...all.values()].filter((call) => !isRunning(call) && call.id !== openId.value);
  ended.sort((a, b) => (endedAt(b) || startedAt(b)).localeCompare(endedAt(a) || startedAt(a)));
  for (const call of ended.slice(ENDED_LIMIT)) all.delete(call.id);
  return all;
}

/** @type {Map<string, ReturnType<typeof setTimeout>>} */
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
const reading = new Map();

/**
 * Read from the journal what this page has not seen of a call.
 * @param {string} id @returns {Promise<number>} how many events were new
 */
export function catchUp(id) {
  const already = reading.get(id);
  if (already) return already;
  const work = readJournal(id).finally(() => reading.delete(id));
  reading.set(id, work);
  return work;
}

/** @param {string} id */
async function readJournal(id) {
  queue.flush();
  update(id, (call) => (call.whole ? call : { ...emptyCall(id, call.head), partial: call.partial, reply: call.reply }));
  let after = known(calls.value, id).through;
  let fresh = 0;
  try {
    for (;;) {
      const { events } = await api.callEvents(id, after);
      const page = /** @type {CallEvent[]} */ (events.map(normalise).filter(Boolean));
      if (!page.length) break;
      update(id, (call) => applyAll(call, page, (event) => {
        fresh += 1;
        taken(event);
      }));
      after = Math.max(page[page.length - 1].seq, known(calls.value, id).through);
    }
    update(id, (call) => ({ ...call, loaded: true }));
  } catch (error) {
    if (!(error instanceof api.ApiError)) throw error;
    if (error.status === 404) update(id, (call) => (call.through || call.loaded ? call : { ...call, missing: true }));
    // What is on the page stays; a call that is looked at is asked for again until it is there, connected or not.
    else setTimeout(() => openId.peek() === id && !calls.peek().get(id)?.loaded && void catchUp(id), AGAIN_MS);
  }
  return fresh;
}

/** What the server says of calls as wholes. @param {Array<Record<string, any>>} heads */
export function takeHeads(heads) {
  const all = new Map(calls.value);
  for (const head of heads) all.set(head.call_id, { ...known(all, head.call_id), head });
  put(bounded(all), heads.map((head) => head.call_id));
}

/** A call that was deleted. @param {string} id */
export function forget(id) {
  const all = new Map(calls.value);
  all.delete(id);
  put(all, [id]);
}

export async function refreshList() {
  try {
    const { calls: heads } = await api.listCalls();
    batch(() => {
      takeHeads(heads);
      listState.value = "ready";
    });
  } catch {
    if (listState.value === "loading") listState.value = "failed";
  }
}

const TOLD_MS = 6000;
const BACKFILL = 12; // so many of a call's last events give its tile a past
const AT_ONCE = 4;

/** The calls that go on, at the start and after a reconnect. @param {Array<Record<string, any>>} heads @param {boolean} again */
function onHeads(heads, again) {
  if (again) {
    const missed = heads.reduce((all, head) => all + missedOf(head), 0);
    recovered.value = missed
      ? `Connected again. ${missed} ${missed === 1 ? "event" : "events"} came meanwhile; nothing is missing.`
      : "Connected again. Nothing was missed.";
    setTimeout(() => (recovered.value = ""), TOLD_MS);
  }
  queue.flush();
  takeHeads(heads);
  for (const head of heads) {
    // What happened between the reading of its journal and this subscription is told by nobody.
    const call = calls.value.get(head.call_id);
    if (call?.whole && call.through < head.seq) catchUpSoon(head.call_id);
  }
  void backfill(heads);
  if (again) void refreshList();
}

/** How much of a call this page knew did happen without it. @param {Record<string, any>} head */
function missedOf(head) {
  const call = calls.value.get(head.call_id);
  return call && call.through ? Math.max(0, head.seq - call.through) : 0;
}

/** A tile that was not there from the beginning is given its last lines. @param {Array<Record<string, any>>} heads */
async function backfill(heads) {
  const bare = heads.filter((head) => {
    const call = calls.value.get(head.call_id);
    return head.seq > 0 && call && !call.whole && !call.through && isRunning(call);
  });
  const worker = async () => {
    for (let head = bare.pop(); head; head = bare.pop()) {
      const { events } = await api.callEvents(head.call_id, Math.max(0, head.seq - BACKFILL)).catch(() => ({ events: [] }));
      const page = /** @type {CallEvent[]} */ (events.map(normalise).filter(Boolean));
      update(head.call_id, (call) => (call.whole ? call : applyAll(call, page)));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** The journal of a call was made anew: what was told of it is forgotten. @param {{call_id: string, state: any}} message */
function onSnapshot({ call_id: id, state }) {
  queue.flush();
  update(id, (call) => emptyCall(id, state ?? call.head, call.whole));
  if (id === openId.value) void catchUp(id);
}

/** @type {string[]} calls whose whole story is kept, the newest last */
let looked = [];

/** The call that the address names is read from its beginning; the stories of others are let go. @param {string} id */
function lookAt(id) {
  looked = [...looked.filter((other) => other !== id), id];
  for (const old of looked.splice(0, Math.max(0, looked.length - WHOLE_LIMIT))) {
    if (calls.value.has(old)) update(old, toTile);
  }
  if (!calls.value.get(id)?.loaded) void catchUp(id);
}

/** Open a call on the live page, or with null none. @param {string | null} id */
export const open = (id) => go(id ? address("live", id) : address("live"), { replace: Boolean(openId.value) });

/** @param {{scenario?: string | null, text?: string}} body @returns {Promise<string>} the call's id */
export async function startDemo(body) {
  const { call_id: id } = await api.startDemoCall(body);
  mine.value = new Set(mine.value).add(id);
  sessionStorage.setItem(MINE, JSON.stringify([...mine.value].slice(-50)));
  expectCall(id);
  open(id);
  return id;
}

/** A call that begins now: what comes of it is complete from its first event on. @param {string} id */
export function expectCall(id) {
  update(id, (call) => (call.through || call.loaded ? call : { ...call, whole: true, loaded: true }));
}

/** Start following the calls. @returns {() => void} stop, and forget what was seen */
export function follow() {
  void api.about().then((answer) => (about.value = answer)).catch(() => (about.value = null));
  void refreshList();
  const unsubscribe = openId.subscribe((id) => {
    if (id) lookAt(id);
  });
  const stop = connectEvents({ onEvent: onMessage, onHeads, onSnapshot });
  return () => {
    unsubscribe();
    stop();
    looked = [];
    batch(() => {
      put(new Map(), [...views.keys()]);
      listState.value = "loading";
    });
  };
}
