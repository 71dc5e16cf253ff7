// Pure: periods as the address has them (`days=7`, or `from=2026-11-01&to=2026-11-30`), in words and in days.

const DATE = /^\d{4}-\d{2}-\d{2}$/;
const DAY_MS = 86400000;
const SHORT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const LONG = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
const WEEKDAY = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });

/** @typedef {{days: number, from: string, to: string}} Period `days` is 0 for dates of one's own */

/**
 * @param {URLSearchParams} query @param {number} usual days, when the address says nothing that can be read (0: all)
 * @returns {Period}
 */
export function periodOf(query, usual) {
  const from = dateOf(query.get("from"));
  const to = dateOf(query.get("to"));
  if (from || to) return { days: 0, from, to };
  const days = Number(query.get("days"));
  return { days: Number.isInteger(days) && days > 0 && days <= 366 ? days : usual, from: "", to: "" };
}

/** @param {string | null} text */
const dateOf = (text) => (text && DATE.test(text) && !Number.isNaN(Date.parse(text)) ? text : "");

/** Days from one to the other, both among them. @param {string} from @param {string} to @returns {string[]} */
export function daysFrom(from, to) {
  const days = [];
  for (let at = Date.parse(from); at <= Date.parse(to) && days.length < 400; at += DAY_MS) days.push(new Date(at).toISOString().slice(0, 10));
  return days;
}

/** The date in a time zone. @param {string} iso @param {string} zone */
export function dateIn(iso, zone) {
  try {
    return new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" }).format(new Date(iso));
  } catch {
    return iso.slice(0, 10);
  }
}

/** The first and the last moment of a day here, ISO 8601. @param {string} date @returns {[string, string]} */
export function boundsHere(date) {
  const [year, month, day] = date.split("-").map(Number);
  const begin = new Date(year, month - 1, day);
  const end = new Date(year, month - 1, day + 1);
  return [begin.toISOString(), new Date(end.getTime() - 1).toISOString()];
}

/** Today here. */
export const todayHere = () => dateIn(new Date().toISOString(), Intl.DateTimeFormat().resolvedOptions().timeZone);

/** @param {string} date @param {number} by days @returns {string} */
export const shifted = (date, by) => new Date(Date.parse(date) + by * DAY_MS).toISOString().slice(0, 10);

/** @param {string} date */
export const shortDay = (date) => SHORT.format(new Date(date));
/** @param {string} date */
export const weekDay = (date) => WEEKDAY.format(new Date(date)).replace(",", "");
/** "18 to 24 November 2026". @param {string} from @param {string} to */
export function spanWords(from, to) {
  if (from === to) return LONG.format(new Date(from));
  return LONG.formatRange(new Date(from), new Date(to)).replace("–", " to ").replace(/\s+/g, " ");
}
