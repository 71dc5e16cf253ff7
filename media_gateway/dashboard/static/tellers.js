// Pure but for the story it is given: how each kind of event changes what is told of a call.
/** @import { CallEvent, Item, Story, TurnLatency } from "./types.js" */

/** Change `story` by this event. It must be the caller's own copy. @param {Story} story @param {CallEvent} event */
export function tell(story, event) {
  story.startedAt ||= event.ts;
  tellers[event.event]?.(story, event);
}

/** @type {Record<string, (story: Story, event: CallEvent) => void>} */
const tellers = {
  call_status(story, { data, seq, ts }) {
    story.status = data.status;
    story.endedAt = data.call_end_time ?? story.endedAt;
    story.milestones.push({ seq, event: "call_status", detail: data.status, ts });
  },
  final_transcript(story, { data, seq, ts }) {
    if (data.speaker === "supervisor") {
      story.items.push({ kind: "supervisor", key: `e${seq}`, text: data.text, cut: "", ts });
      return said(story, data.text, ts);
    }
    story.items.push({ kind: "user", key: `e${seq}`, text: data.text, cut: "", ts });
    said(story, data.text, ts);
    story.turns += 1;
    story.idles = 0;
    story.heardTurn = Math.max(story.heardTurn, data.turn ?? -1);
  },
  ai_response_complete(story, { data, seq, ts }) {
    story.spokenTurn = Math.max(story.spokenTurn, data.turn ?? -1);
    const cut = unheard(data.text ?? "", data.full_text);
    if (!data.text && !cut) return;
    story.items.push({ kind: "assistant", key: `e${seq}`, text: data.text ?? "", cut, ts });
    if (data.text) said(story, data.text, ts);
    story.fault = "";
  },
  tool_call: toolCall,
  state_changed(story, { data }) {
    story.state = data.state ?? story.state;
    story.intent = data.intent ?? story.intent;
    story.slots = data.slots ?? story.slots;
  },
  escalation(story, event) {
    story.escalation = plain(event.data.reason);
    note(story, event, `Asked for a person: ${plain(event.data.reason)}`, "trouble");
  },
  handoff(story, event) {
    if (event.data.outcome === "accepted") story.withPerson = true;
    if (event.data.outcome === "ended") story.withPerson = false;
    note(story, event, `Handed over: ${plain(event.data.outcome)}`, "calm");
  },
  dtmf: (story, event) => note(story, event, `The caller pressed ${event.data.digit}`, "calm"),
  idle(story, event) {
    story.idles += 1;
    note(story, event, "The caller was silent", "calm");
  },
  provider_fault(story, event) {
    const stage = plain(event.data.stage);
    const named = stage.charAt(0).toUpperCase() + stage.slice(1);
    story.fault = `${named} failed`;
    note(story, event, `${named} failed (${plain(event.data.kind)})`, "trouble");
  },
  command: command,
  metrics_updated(story, { data }) {
    const used = data.tokens ?? {};
    story.tokens += Number(used.prompt ?? 0) + Number(used.completion ?? 0);
    for (const [part, dollars] of Object.entries(data.cost ?? {})) story.cost[part] = (story.cost[part] ?? 0) + Number(dollars);
    const latency = turnLatency(data, story.latencies.length);
    if (latency) story.latencies.push(latency);
  },
  call_completed(story, { data, seq, ts }) {
    story.completed = true;
    story.status = data.call_data?.status ?? story.status;
    story.holder = "";
    story.approvals = [];
    story.milestones.push({ seq, event: "call_completed", detail: "The whole record", ts });
  },
};

/** @param {Story} story @param {CallEvent} event */
function toolCall(story, { data, seq, ts }) {
  const args = data.arguments ?? {};
  const ok = data.ok !== false;
  story.approvals = story.approvals.filter((asked) => asked.tool !== data.tool);
  story.items.push({ kind: "tool", key: `e${seq}`, tool: data.tool, args, result: data.result, ok, ms: data.ms ?? null, ts });
  if (data.tool === "book_appointment" && ok) story.appointment = appointment(data);
}

/** @type {Record<string, string>} */
const DEEDS = {
  say: "had a line said", whisper: "whispered to the assistant", transfer: "transferred the call",
  takeover: "took the call over", release: "gave the call back", hangup: "hung up", approve: "approved",
  refuse: "refused",
};

/** @type {Record<string, string>} */
const VERBS = { say: "have a line said", takeover: "take the call over", hangup: "hang up", release: "give the call back" };

/** What a supervisor did, or is asked to, for everybody who watches. @param {Story} story @param {CallEvent} event */
function command(story, event) {
  const { command_id: id, kind, actor, tool, ok, detail = "" } = event.data;
  if (kind === "approval") return approval(story, event);
  if (id) story.commands[id] = { kind, actor, ok: ok !== false, detail: String(detail ?? ""), ts: event.ts };
  const deed = DEEDS[kind];
  if (!deed) return;
  if (ok && kind === "takeover") story.holder = actor;
  if (ok && kind === "release") story.holder = "";
  if (ok && (kind === "approve" || kind === "refuse")) {
    story.approvals = story.approvals.filter((asked) => asked.id !== event.data.request_id && asked.tool !== (tool ?? detail));
  }
  const words = ok !== false ? `${actor} ${deed}` : `${actor} tried to ${plain(VERBS[kind] ?? kind)}: ${detail || "it did not work"}`;
  note(story, event, words, ok !== false ? "calm" : "trouble");
}

/** A tool waits for a supervisor's word, or has waited in vain. @param {Story} story @param {CallEvent} event */
function approval(story, event) {
  const { command_id: id, tool, ok, detail } = event.data;
  if (ok === null || ok === undefined) {
    story.approvals.push({ id, tool, args: event.data.arguments ?? {}, ts: event.ts });
    return note(story, event, `Waits for approval: ${plain(tool)}`, "trouble");
  }
  story.approvals = story.approvals.filter((asked) => asked.id !== id);
  if (!ok) note(story, event, `Not approved: ${plain(detail)}`, "trouble");
}

/** @param {Story} story @param {string} line @param {string} ts */
function said(story, line, ts) {
  story.lastLine = line;
  story.wordsAt = ts;
}

/** @param {Story} story @param {CallEvent} event @param {string} text @param {"calm" | "trouble"} tone */
function note(story, event, text, tone) {
  story.items.push({ kind: "note", key: `e${event.seq}`, text, tone, ts: event.ts });
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
