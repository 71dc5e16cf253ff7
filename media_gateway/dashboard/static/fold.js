// Pure: from the events of a call to what is shown of it. The order of arrival does not matter, only `seq`.
/** @import { CallEvent, CallView, Story, TurnLatency } from "./types.js" */

export const LIVE = new Set(["partial_transcript", "ai_response_chunk"]);
export const TERMINAL = new Set(["completed", "failed", "busy", "no_answer", "canceled"]);

/** @returns {Story} */
export function emptyStory() {
  return {
    items: [], status: null, state: null, intent: null, slots: {}, appointment: null, milestones: [], latencies: [],
    completed: false, endedAt: "", lastLine: "", heardTurn: -1, spokenTurn: -1,
  };
}

/** @param {string} id @param {Record<string, any>} [head] @returns {CallView} */
export function emptyCall(id, head = {}) {
  return { id, head, events: [], story: emptyStory(), partial: null, reply: null, loaded: false };
}

/**
 * The socket's message `{event, data}` or the journal's `{type, call_id, seq, ts, data}`; null when it is neither.
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
export function apply(call, event) {
  if (LIVE.has(event.event)) return applyLive(call, event);
  if (!event.seq) return call;
  const last = call.events.at(-1);
  if (!last || event.seq > last.seq) {
    const story = step(call.story, event);
    return clearLive({ ...call, events: [...call.events, event], story }, event);
  }
  const at = call.events.findIndex((known) => known.seq >= event.seq);
  if (call.events[at].seq === event.seq) return call;
  const events = [...call.events.slice(0, at), event, ...call.events.slice(at)];
  return clearLive({ ...call, events, story: events.reduce(step, emptyStory()) }, event);
}

/** The number after which the page has not seen everything. @param {CallView} call @returns {number} */
export function contiguous(call) {
  let seen = 0;
  for (const event of call.events) {
    if (event.seq !== seen + 1) break;
    seen = event.seq;
  }
  return seen;
}

/** @param {CallView} call @param {CallEvent} event @returns {CallView} */
function applyLive(call, event) {
  const { turn, text, offset = 0 } = event.data;
  if (event.event === "partial_transcript") {
    return turn < call.story.heardTurn ? call : { ...call, partial: text ? { turn, text } : null };
  }
  if (turn < call.story.spokenTurn || (turn === call.story.spokenTurn && offset > 0 && !call.reply)) return call;
  const before = call.reply && call.reply.turn === turn ? call.reply.text : "";
  // A page that came in the middle of a reply has not seen its beginning.
  const start = offset > before.length ? (before || "… ") : before.slice(0, offset);
  return { ...call, reply: { turn, text: start + text } };
}

/** The final text takes the place of its partial. @param {CallView} call @param {CallEvent} event @returns {CallView} */
function clearLive(call, event) {
  if (event.event === "call_completed" || (event.event === "call_status" && TERMINAL.has(event.data.status))) {
    return { ...call, partial: null, reply: null };
  }
  if (event.event === "final_transcript" && (call.partial?.turn ?? Infinity) <= event.data.turn) {
    return { ...call, partial: null };
  }
  if (event.event === "ai_response_complete" && (call.reply?.turn ?? Infinity) <= event.data.turn) {
    return { ...call, reply: null };
  }
  return call;
}

/** @param {Story} story @param {CallEvent} event @returns {Story} */
export function step(story, event) {
  const teller = tellers[event.event];
  return teller ? { ...story, ...teller(story, event) } : story;
}

/** @type {Record<string, (story: Story, event: CallEvent) => Partial<Story>>} */
const tellers = {
  call_status: (story, { data, seq, ts }) => ({
    status: data.status,
    endedAt: data.call_end_time ?? story.endedAt,
    milestones: [...story.milestones, { seq, event: "call_status", detail: data.status, ts }],
  }),
  final_transcript: (story, { data, seq, ts }) => ({
    items: [...story.items, { kind: "user", key: `e${seq}`, text: data.text, cut: "", ts }],
    lastLine: data.text,
    heardTurn: Math.max(story.heardTurn, data.turn ?? -1),
  }),
  ai_response_complete: (story, { data, seq, ts }) => {
    const spoken = { spokenTurn: Math.max(story.spokenTurn, data.turn ?? -1) };
    const cut = unheard(data.text ?? "", data.full_text);
    if (!data.text && !cut) return spoken;
    const bubble = { kind: /** @type {const} */ ("assistant"), key: `e${seq}`, text: data.text ?? "", cut, ts };
    return { ...spoken, items: [...story.items, bubble], lastLine: data.text || story.lastLine };
  },
  tool_call: (story, { data, seq, ts }) => ({
    items: [...story.items, {
      kind: "tool", key: `e${seq}`, tool: data.tool, args: data.arguments ?? {}, result: data.result,
      ok: data.ok !== false, ms: data.ms ?? null, ts,
    }],
    appointment: data.tool === "book_appointment" && data.ok !== false ? appointment(data) : story.appointment,
  }),
  state_changed: (story, { data }) => ({
    state: data.state ?? story.state,
    intent: data.intent ?? story.intent,
    slots: data.slots ?? story.slots,
  }),
  escalation: (story, event) => note(story, event, `Asked for a person: ${plain(event.data.reason)}`, "trouble"),
  handoff: (story, event) => note(story, event, `Handed over: ${plain(event.data.outcome)}`, "calm"),
  dtmf: (story, event) => note(story, event, `The caller pressed ${event.data.digit}`, "calm"),
  idle: (story, event) => note(story, event, "The caller was silent", "calm"),
  provider_fault: (story, event) =>
    note(story, event, `${plain(event.data.stage)} failed (${plain(event.data.kind)})`, "trouble"),
  metrics_updated: (story, { data }) => {
    const latency = turnLatency(data, story.latencies.length);
    return latency ? { latencies: [...story.latencies, latency] } : {};
  },
  call_completed: (story, { data, seq, ts }) => ({
    completed: true,
    status: data.call_data?.status ?? story.status,
    milestones: [...story.milestones, { seq, event: "call_completed", detail: "The whole record", ts }],
  }),
};

/** @param {Story} story @param {CallEvent} event @param {string} text @param {"calm" | "trouble"} tone */
function note(story, event, text, tone) {
  const item = { kind: /** @type {const} */ ("note"), key: `e${event.seq}`, text, tone, ts: event.ts };
  return { items: [...story.items, item] };
}

/** @param {any} value */
const plain = (value) => String(value ?? "unknown").replaceAll("_", " ");

/** What of the whole reply was never heard. @param {string} heard @param {string | undefined} full */
export function unheard(heard, full) {
  if (!full || full.length <= heard.length) return "";
  return full.startsWith(heard) ? full.slice(heard.length) : full;
}

/** Arguments and result as one record, the result first. @param {Record<string, any>} data */
function appointment(data) {
  const result = data.result ?? {};
  return { ...data.arguments, ...result, ...(result.appointment ?? {}) };
}

/** @param {Record<string, any>} data @param {number} index @returns {TurnLatency | null} */
function turnLatency(data, index) {
  const entries = Object.entries(data.stages ?? {}).filter(([, ms]) => typeof ms === "number" && ms >= 0);
  if (!entries.length) return null;
  const whole = entries.find(([name]) => name === "total" || name === "response");
  const stages = entries.filter(([name]) => name !== "total" && name !== "response");
  const sum = stages.reduce((all, [, ms]) => all + ms, 0);
  return { turn: data.turn ?? index + 1, stages, total: whole ? whole[1] : sum };
}
