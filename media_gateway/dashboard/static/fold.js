// Pure: from the events of a call to what is shown of it. The order of arrival does not matter, only `seq`.
import { tell } from "./tellers.js";
/** @import { CallEvent, CallView, Story } from "./types.js" */

export const LIVE = new Set(["partial_transcript", "ai_response_chunk"]);
export const TERMINAL = new Set(["completed", "failed", "busy", "no_answer", "canceled"]);
const MOST_PENDING = 5000;
/** So many of the last turns tell how fast a call is answered: all that a tile keeps of its past. */
export const MOOD_TURNS = 3;

/** @returns {Story} */
export function emptyStory() {
  return {
    items: [], status: null, state: null, intent: null, slots: {}, appointment: null, milestones: [], latencies: [],
    completed: false, startedAt: "", endedAt: "", lastLine: "", wordsAt: "", heardTurn: -1, spokenTurn: -1, turns: 0,
    tokens: 0, cost: {}, escalation: "", withPerson: false, fault: "", idles: 0, holder: "", commands: {}, approvals: [],
  };
}

/**
 * A call of which nothing is known yet. `whole`: its story is told from the first event on, gaps are waited for;
 * otherwise it is told from wherever the page came in (a tile).
 * @param {string} id @param {Record<string, any>} [head] @param {boolean} [whole] @returns {CallView}
 */
export function emptyCall(id, head = {}, whole = true) {
  return { id, head, story: emptyStory(), through: 0, pending: [], whole, partial: null, reply: null, loaded: false };
}

/**
 * The message of a socket `{event, data}` or `{type: "event" | "live", event, ...}`, or the journal's
 * `{type, call_id, seq, ts, data}`; null when it is none of them.
 * @param {any} message
 * @returns {CallEvent | null}
 */
export function normalise(message) {
  const data = message?.data ?? {};
  const event = message?.event ?? message?.type;
  const callId = data.session_id ?? message?.call_id;
  if (typeof event !== "string" || typeof callId !== "string") return null;
  return {
    event: event === "turn_metrics" ? "metrics_updated" : event,
    callId,
    seq: LIVE.has(event) ? 0 : Number(message.seq ?? data.seq ?? 0),
    ts: message.ts ?? data.timestamp ?? "",
    data,
  };
}

/**
 * The call after `event`; the same object when it is a double or stale.
 * @param {CallView} call @param {CallEvent} event @returns {CallView}
 */
export const apply = (call, event) => applyAll(call, [event]);

/**
 * The call after these events, which may come in any order and more than once; the same object when none was news.
 * `taken` is told every durable event that was.
 * @param {CallView} call @param {CallEvent[]} events @param {(event: CallEvent) => void} [taken] @returns {CallView}
 */
export function applyAll(call, events, taken) {
  let draft = call;
  let own = false;
  for (const event of events) {
    if (LIVE.has(event.event)) {
      draft = applyLive(draft, event);
    } else if (isNews(draft, event)) {
      if (!own) draft = { ...draft, story: ownStory(draft.story), pending: [...draft.pending] };
      own = true;
      taken?.(event);
      take(draft, event);
    }
  }
  return draft;
}

/** Is something missing that a journal could tell? @param {CallView} call */
export const hasGap = (call) => call.pending.length > 0;

/** A call nobody looks at any more, with what its tile needs. @param {CallView} call @returns {CallView} */
export function toTile(call) {
  const story = ownStory(call.story);
  forgetPast(story);
  return { ...call, story, pending: [], whole: false, loaded: false };
}

/** A tile tells the present. Whoever opens the call has its past from the journal. @param {Story} story our own copy */
function forgetPast(story) {
  story.items = [];
  story.milestones = [];
  story.latencies = story.latencies.slice(-MOOD_TURNS);
  story.commands = {};
}

/** @param {CallView} call @param {CallEvent} event */
function isNews(call, event) {
  return event.seq > call.through && !call.pending.some((known) => known.seq === event.seq);
}

/** A copy that may be written to: arrays are copied once for a whole batch. @param {Story} story @returns {Story} */
function ownStory(story) {
  return {
    ...story, items: [...story.items], milestones: [...story.milestones], latencies: [...story.latencies],
    commands: { ...story.commands }, cost: { ...story.cost }, approvals: [...story.approvals],
  };
}

/** @param {CallView} call a draft of our own @param {CallEvent} event */
function take(call, event) {
  if (call.whole && event.seq > call.through + 1) {
    const at = call.pending.findIndex((known) => known.seq > event.seq);
    call.pending.splice(at < 0 ? call.pending.length : at, 0, event);
    if (call.pending.length > MOST_PENDING) call.pending.pop(); // the journal has it
    return;
  }
  follow(call, event);
  while (call.pending.length && call.pending[0].seq <= call.through + 1) {
    const next = /** @type {CallEvent} */ (call.pending.shift());
    if (next.seq > call.through) follow(call, next);
  }
}

/** @param {CallView} call a draft of our own @param {CallEvent} event */
function follow(call, event) {
  call.through = event.seq;
  tell(call.story, event);
  if (!call.whole) forgetPast(call.story);
  clearLive(call, event);
}

/** @param {CallView} call @param {CallEvent} event @returns {CallView} */
function applyLive(call, event) {
  const { turn, text, offset = 0 } = event.data;
  if (event.event === "partial_transcript") {
    return turn <= call.story.heardTurn ? call : { ...call, partial: text ? { turn, text } : null };
  }
  if (turn < call.story.spokenTurn || (turn === call.story.spokenTurn && offset > 0 && !call.reply)) return call;
  const before = call.reply && call.reply.turn === turn ? call.reply.text : "";
  // A page that came in the middle of a reply has not seen its beginning.
  const start = offset > before.length ? (before || "… ") : before.slice(0, offset);
  return { ...call, reply: { turn, text: start + text } };
}

/** The final text takes the place of its partial. @param {CallView} call a draft of our own @param {CallEvent} event */
function clearLive(call, event) {
  const over = event.event === "call_completed" || (event.event === "call_status" && TERMINAL.has(event.data.status));
  const heard = event.event === "final_transcript" && event.data.speaker !== "supervisor" && (call.partial?.turn ?? Infinity) <= event.data.turn;
  const spoken = event.event === "ai_response_complete" && (call.reply?.turn ?? Infinity) <= event.data.turn;
  if (over || heard) call.partial = null;
  if (over || spoken) call.reply = null;
}
