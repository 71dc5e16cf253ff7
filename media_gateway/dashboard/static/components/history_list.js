// Calls that are over (and those that are not): what is looked for, and what was found.
import { useEffect, useRef, useState } from "preact/hooks";
import { paused } from "../focus.js";
import { html } from "../html.js";
import { icons } from "./icons.js";
import { PeriodChoice } from "./period_choice.js";
import { StatusChip, lastedWords, who } from "./tile.js";
import { emptyCall } from "../fold.js";
import { found, more, question, search, told } from "../found.js";
import { periodOf, todayHere } from "../period.js";
import { address, go, withQuery } from "../router.js";
import { about } from "../state.js";
import { OUTCOMES, STATUSES, flowWords, moment, outcomeWords, statusWords } from "../words.js";

const PAUSE_MS = 350;
/** @type {Array<[number, string]>} */
const SPANS = [[0, "All"], [1, "Today"], [7, "7 days"], [30, "30 days"]];
const GOOD = new Set(["booked", "moved", "confirmed", "answered", "message"]);
const BAD = new Set(["abandoned", "failed"]);

/** @param {{outcome: string}} props */
export function OutcomeChip({ outcome }) {
  const tone = GOOD.has(outcome) ? "good" : BAD.has(outcome) ? "bad" : outcome === "escalated" ? "warn" : "";
  return html`<span class=${`chip outcome-chip ${tone}`}>${outcomeWords(outcome)}</span>`;
}

/** Change a part of the question; it is in the address. @param {URLSearchParams} query @param {Record<string, string>} change */
const ask = (query, change) => go(withQuery(address("history"), { ...Object.fromEntries(query), ...change }), { replace: true });

/** Asks a moment after the last key, at once with Enter. @param {{query: URLSearchParams}} props */
function SearchField({ query }) {
  const asked = query.get("q") ?? "";
  const [text, setText] = useState(asked);
  const timer = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));
  const own = useRef(asked);
  useEffect(() => {
    if (asked !== own.current) setText(asked);
    own.current = asked;
  }, [asked]);
  useEffect(() => () => clearTimeout(timer.current), []);
  /** @param {string} value */
  const now = (value) => {
    clearTimeout(timer.current);
    own.current = value.trim();
    ask(query, { q: own.current });
  };
  /** @param {any} event */
  const typed = (event) => {
    const { value } = event.currentTarget;
    setText(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => now(value), PAUSE_MS);
  };
  return html`
    <form class="search-field" role="search" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); now(text); }}>
      <label class="hidden" for="history-q">Search</label>
      ${icons.search()}
      <input id="history-q" type="search" value=${text} maxlength="200" autocomplete="off" onInput=${typed}
        placeholder="Words that were said, a number, an id" />
    </form>`;
}

/** @param {{query: URLSearchParams, name: string, label: string, any: string, options: Array<[string, string]>}} props */
function Choice({ query, name, label, any, options }) {
  const value = query.get(name) ?? "";
  const known = value && !options.some(([option]) => option === value) ? [...options, [value, value]] : options;
  return html`<label class="choice-field"><span>${label}</span>
    <select value=${value} onChange=${(/** @type {any} */ event) => ask(query, { [name]: event.currentTarget.value })}>
      <option value="">${any}</option>${known.map(([option, words]) => html`<option key=${option} value=${option}>${words}</option>`)}
    </select></label>`;
}

/** @param {{query: URLSearchParams}} props */
function Filters({ query }) {
  const flows = /** @type {Array<[string, string]>} */ ((about.value?.flows ?? []).map((name) => [name, flowWords(name)]));
  const statuses = /** @type {Array<[string, string]>} */ (STATUSES.map((name) => [name, statusWords(name)]));
  return html`
    <div class="filters">
      <${SearchField} query=${query} />
      <${PeriodChoice} period=${periodOf(query, 0)} spans=${SPANS} name="history-period" today=${todayHere()}
        onChoose=${(/** @type {Record<string, string>} */ period) => ask(query, period)} />
      <div class="choices">
        <${Choice} query=${query} name="status" label="Status" any="Any" options=${statuses} />
        <${Choice} query=${query} name="flow" label="Flow" any="All" options=${flows} />
        <${Choice} query=${query} name="outcome" label="Outcome" any="Any" options=${Object.entries(OUTCOMES)} />
        ${query.size > 0 && html`<a class="button small-button" href=${address("history")}>${icons.cross()}Clear</a>`}
      </div>
    </div>`;
}

/** What was said, the words that were looked for marked. @param {{text: string, words: string[]}} props */
function Marked({ text, words }) {
  const parts = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const pieces = parts.length ? text.split(new RegExp(`(${parts.join("|")})`, "gi")) : [text];
  return html`${pieces.map((piece, at) => (at % 2 ? html`<mark>${piece}</mark>` : piece))}`;
}

/** @param {{head: Record<string, any>, query: URLSearchParams}} props */
function Hit({ head, query }) {
  const call = emptyCall(head.call_id, head);
  const words = (query.get("q") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const analysis = head.analysis ?? {};
  const line = head.excerpt ?? analysis.transcript_summary ?? analysis.call_summary_title ?? "";
  const same = !head.outcome || head.outcome === head.status;
  return html`
    <li><a class="hit" href=${withQuery(address("history", head.call_id), Object.fromEntries(query))} data-call=${head.call_id}>
      <span class="hit-who"><span class="row-who">${who(call)}</span><span class="quiet small">${flowWords(head.flow)}</span></span>
      <span class="hit-line">${line ? html`<${Marked} text=${line} words=${head.excerpt ? words : []} />` : html`<span class="quiet">No summary</span>`}</span>
      <span class="hit-chips">${same ? html`<${StatusChip} status=${head.status} />` : html`<${OutcomeChip} outcome=${head.outcome} />`}</span>
      <span class="hit-when time">${moment(head.started_at)}<span>${lastedWords(head)}</span></span>
    </a></li>`;
}

/** While there is nothing to show. @param {{query: URLSearchParams, state: import("../found.js").Found}} props */
function Without({ query, state }) {
  if (state.phase === "loading") return html`<p class="blank quiet" role="status">Looking …</p>`;
  if (state.phase === "failed") {
    return html`<div class="blank"><p role="alert">${state.error}</p>
      <button class="button" type="button" onClick=${() => search(state.key, true)}>Try again</button></div>`;
  }
  if (state.cursor || state.phase === "more") return null; // the button below asks whether to look further back
  if (query.size) {
    return html`<div class="blank"><p><strong>No call is like that.</strong></p>
      <p class="quiet">All words of the search have to occur in one call. Fewer words or a longer period find more.</p></div>`;
  }
  return html`<div class="blank"><p><strong>No call yet.</strong></p>
    <p class="quiet">Every call is kept here once it rings: what was said, what was done, what came of it.</p>
    <a class="button primary" href=${address("talk")}>${icons.microphone()}Talk to it</a></div>`;
}

/** @param {{query: URLSearchParams}} props */
export function HistoryList({ query }) {
  const key = question(query);
  useEffect(() => void search(key), [key]);
  useEffect(() => () => void (told.value = ""), []);
  const state = found.value.key === key ? found.value : { ...found.value, key, calls: [], cursor: null, phase: /** @type {const} */ ("loading"), error: "" };
  const count = state.calls.length;
  const busy = state.phase === "loading" || state.phase === "more";
  const failedLater = state.phase === "failed" && count > 0;
  return html`
    <main class="page history" aria-busy=${busy ? "true" : "false"}>
      <header class="page-head"><h1>History</h1>
        <p class="quiet small" role="status">${count ? `${count}${state.cursor ? " or more" : ""} ${count === 1 ? "call" : "calls"}` : ""}</p></header>
      <${Filters} query=${query} />
      ${told.value && html`<p class="notice good-notice" role="status">${told.value}</p>`}
      ${count ? html`<ul class="hits">${state.calls.map((head) => html`<${Hit} key=${head.call_id} head=${head} query=${query} />`)}</ul>`
        : html`<${Without} query=${query} state=${state} />`}
      ${failedLater && html`<p class="notice" role="alert">${state.error}</p>`}
      ${state.cursor && (count > 0 || state.phase !== "failed") && html`<div class="more">${!count && html`<p class="quiet">Nothing among the newer calls.</p>`}
        <button class="button" type="button" ...${paused(busy)} onClick=${more}>
          ${state.phase === "more" ? "Looking …" : count ? "More" : "Look further back"}</button></div>`}
    </main>`;
}
