// Pure: what a machine wrote, as a person would say it.

const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" });
const CLOCK = new Intl.DateTimeFormat("en-US", { hour: "numeric", minute: "2-digit" });
const SHORT_DAY = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" });
const HOUR = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const STAMP = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** "oil_change" -> "Oil change". @param {any} name @returns {string} */
export function title(name) {
  const text = String(name ?? "").replaceAll("_", " ").trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** "2026-11-21" -> "Saturday 21 November"; anything else as it is. @param {any} iso @returns {string} */
export function day(iso) {
  const found = /^(\d{4})-(\d{2})-(\d{2})/.exec(String(iso ?? ""));
  return found ? DAY.format(new Date(+found[1], +found[2] - 1, +found[3])).replace(",", "") : String(iso ?? "");
}

/** "14:00" (or the time in an ISO moment, as written there) -> "2:00 PM". @param {any} time @returns {string} */
export function clock(time) {
  const found = /(?:^|T)(\d{2}):(\d{2})/.exec(String(time ?? ""));
  return found ? CLOCK.format(new Date(2000, 0, 1, +found[1], +found[2])) : String(time ?? "");
}

/** The local time of day with seconds. @param {string} iso @returns {string} */
export function stamp(iso) {
  const moment = new Date(iso);
  return Number.isNaN(moment.getTime()) ? "" : STAMP.format(moment);
}

/** "Today 14:05", else "Sat 21 Nov 14:05", in local time. @param {string} iso @returns {string} */
export function moment(iso) {
  const when = new Date(iso);
  if (Number.isNaN(when.getTime())) return "";
  const today = when.toDateString() === new Date().toDateString();
  return `${today ? "Today" : SHORT_DAY.format(when).replace(",", "")} ${HOUR.format(when)}`;
}

/** 75 -> "1:15". @param {number} seconds @returns {string} */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  const rest = String(whole % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** "+15551234567" -> "+1 555 123 4567". @param {any} number @returns {string} */
export function phone(number) {
  const text = String(number ?? "");
  const american = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(text);
  return american ? `+1 ${american[1]} ${american[2]} ${american[3]}` : text;
}

/** @type {Record<string, string>} */
const STATUS = {
  initiated: "Starting", ringing: "Ringing", in_progress: "In progress", processing: "Wrapping up",
  completed: "Completed", failed: "Failed", busy: "Busy", no_answer: "No answer", canceled: "Canceled",
};
/** @param {string | null | undefined} status */
export const statusWords = (status) => STATUS[status ?? ""] ?? title(status || "starting");

/** @type {Record<string, string>} */
const FLOWS = { inbound_new: "New customer", inbound_existing: "Known customer", inbound_general: "General inquiry" };
/** @param {any} flow */
export const flowWords = (flow) => (flow ? FLOWS[flow] ?? title(flow) : "");

/** @type {Record<string, string>} */
const STAGES = {
  endpointing: "End of turn", thinking: "Thinking", tools: "Tools", clause: "First clause", voicing: "Voice", sending: "Send",
  playing: "Play",
};
/** @param {string} stage */
export const stageWords = (stage) => STAGES[stage] ?? title(stage);

/** @type {Record<string, string>} */
const VENDORS = {
  llm: "Language model", tts: "Voice", stt: "Recognition", telephone: "Telephone", openai: "OpenAI", deepgram: "Deepgram",
  elevenlabs: "ElevenLabs", twilio: "Twilio",
};
/** Whom money went to, or for what. @param {string} name */
export const vendorWords = (name) => VENDORS[name] ?? title(name);

/** What can come of a call. @type {Record<string, string>} */
export const OUTCOMES = {
  booked: "Booked", moved: "Moved", cancelled: "Appointment cancelled", confirmed: "Confirmed", message: "Message taken", answered: "Answered",
  escalated: "Passed to a person", abandoned: "Abandoned", voicemail: "Voicemail", no_answer: "No answer", busy: "Busy",
  failed: "Failed", canceled: "Canceled",
};
/** @param {any} outcome */
export const outcomeWords = (outcome) => OUTCOMES[outcome] ?? title(outcome);
export const STATUSES = ["in_progress", "processing", "completed", "failed", "busy", "no_answer", "canceled"];

/** @type {Record<string, string>} */
const SLOTS = { service_type: "Service", preferred_date: "Day", preferred_time: "Time" };
/** @param {string} name */
export const slotName = (name) => SLOTS[name] ?? title(name);
/** @param {string} name @param {any} value @returns {string} */
export function slotValue(name, value) {
  if (value === null || value === undefined || value === "") return "";
  if (name.endsWith("date")) return day(value);
  if (name.endsWith("time")) return clock(value);
  if (name === "service_type" || name === "service") return title(value);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** The three facts of a booking, whatever names the tool gave them. @param {Record<string, any>} facts */
export function bookingFacts(facts) {
  const start = facts.start ?? facts.starts_at ?? facts.when;
  return {
    service: title(facts.service_type ?? facts.service ?? "Appointment"),
    day: day(facts.preferred_date ?? facts.date ?? start),
    time: clock(facts.preferred_time ?? facts.time ?? start),
    reference: String(facts.confirmation ?? facts.reference ?? facts.appointment_id ?? facts.id ?? ""),
  };
}

/**
 * What a tool was asked and what came of it, one sentence each.
 * @param {string} tool @param {Record<string, any>} args @param {any} result @param {boolean} ok
 * @returns {{asked: string, outcome: string}}
 */
export function toolWords(tool, args, result, ok) {
  const teller = TOOLS[tool];
  const asked = teller ? teller.asked(args ?? {}, ok) : title(tool);
  if (!ok) return { asked, outcome: String(result?.message ?? title(result?.reason ?? "it did not work")) };
  return { asked, outcome: teller ? teller.outcome(result ?? {}, args ?? {}) : "" };
}

/** @type {Record<string, {asked: (args: any, ok: boolean) => string, outcome: (result: any, args: any) => string}>} */
const TOOLS = {
  get_available_slots: {
    asked: (args) => {
      const date = args.preferred_date ?? args.date;
      return date ? `Looked for free times on ${day(date)}` : "Looked for free times";
    },
    outcome: (result) => {
      const free = (result.slots ?? result.times ?? result.available ?? []).map(
        /** @param {any} slot */ (slot) => clock(typeof slot === "object" ? slot.time ?? slot.start : slot),
      );
      if (!free.length) return "Nothing free";
      return free.length > 5 ? `${free.slice(0, 4).join(", ")} and ${free.length - 4} more` : free.join(", ");
    },
  },
  book_appointment: {
    asked: (args, ok) => {
      const { service, day: date, time } = bookingFacts(args);
      return `${ok ? "Booked" : "Tried to book"}: ${[service.toLowerCase(), date, time].filter(Boolean).join(", ")}`;
    },
    outcome: (result, args) => {
      const { reference } = bookingFacts({ ...args, ...result, ...(result.appointment ?? {}) });
      return reference ? `Confirmed, reference ${reference}` : "Confirmed";
    },
  },
  lookup_customer: {
    asked: () => "Looked up the caller by phone number",
    outcome: (result) => {
      const customer = result.customer ?? result;
      const name = customer.name ?? [customer.first_name, customer.last_name].filter(Boolean).join(" ");
      if (result.found === false || !name) return "Not a customer yet";
      return `Found ${name}`;
    },
  },
};
