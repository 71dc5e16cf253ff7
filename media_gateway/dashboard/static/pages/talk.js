// Talk to it: a conversation in this browser, and those that were had before.
import { useComputed } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { html } from "../html.js";
import { Dock, TypeLine } from "../components/dock.js";
import { HonestNote } from "../components/composer.js";
import { icons } from "../components/icons.js";
import { Side } from "../components/side.js";
import { Lasted, StatusChip } from "../components/tile.js";
import { Transcript } from "../components/transcript.js";
import { me } from "../api.js";
import { micTrouble } from "../microphone.js";
import { address } from "../router.js";
import { about, calls, openCall, openId, viewOf } from "../state.js";
import * as talk from "../talk.js";
import { isRunning, startedAt, statusOf } from "../trouble.js";
import { flowWords, moment } from "../words.js";
/** @import { CallView, PageProps } from "../types.js" */

/** @returns {string[]} ids of what this user said here, the newest first */
function ownConversations() {
  const own = [...calls.value.values()].filter((call) =>
    call.head.metadata?.source === "browser" && call.head.metadata.user === me.value?.user);
  own.sort((a, b) => startedAt(b).localeCompare(startedAt(a)));
  return own.map((call) => call.id);
}

/** @param {{id: string}} props */
function Earlier({ id }) {
  const call = viewOf(id).value;
  if (!call) return null;
  const current = id === openId.value;
  return html`
    <li><a class="row" aria-current=${current ? "true" : undefined} href=${address("talk", id)}>
      <span class="row-top"><span class="row-who">${moment(startedAt(call))}</span><span class="time"><${Lasted} key=${call.id} call=${call} /></span></span>
      <span class="row-mid"><${StatusChip} status=${statusOf(call)} /><span class="quiet small">${flowWords(call.head.flow)}</span></span>
      ${call.story.lastLine && html`<span class="row-line quiet">${call.story.lastLine}</span>`}
    </a></li>`;
}

function Conversations() {
  const ids = useComputed(() => ownConversations().join(" ")).value;
  return html`
    <nav class="list" aria-label="Your conversations">
      <div class="list-head"><h2>Your conversations</h2>
        <a class="button small-button" href=${address("talk")}>${icons.microphone()}New</a></div>
      ${ids ? html`<ul class="rows">${ids.split(" ").map((id) => html`<${Earlier} key=${id} id=${id} />`)}</ul>`
        : html`<p class="list-empty quiet">What you say here is kept here.</p>`}
    </nav>`;
}

function Trouble() {
  return html`${talk.talkTrouble.value && html`<p class="notice" role="alert">${talk.talkTrouble.value}</p>`}
    ${micTrouble.value && talk.phase.value === "idle" && html`<p class="notice" role="alert">${micTrouble.value}</p>`}`;
}

/** Before the first word. */
function Beginning() {
  const [flow, setFlow] = useState("");
  const flows = (about.value?.flows ?? []).filter((name) => !name.startsWith("outbound"));
  const waiting = talk.phase.value !== "idle";
  return html`
    <main class="talk-start">
      <div class="hero">
        <h1>Talk to it</h1>
        <p class="lede">You are the caller: the same conversation, the same tools and the same answers as on the phone.</p>
        <button class="button primary big" type="button" disabled=${waiting} onClick=${() => talk.begin({ microphone: true, flow })}>
          ${icons.microphone()}<span>${waiting ? "Connecting …" : "Start talking"}</span></button>
        <${Trouble} />
        <p class="or" aria-hidden="true"><span>or type</span></p>
        <${TypeLine} label="Type what you would say" placeholder="I need an oil change tomorrow at two" onText=${(/** @type {string} */ text) => talk.begin({ text, flow })} />
        ${flows.length > 1 && html`<label class="flow-choice">As
          <select value=${flow} onChange=${(/** @type {any} */ event) => setFlow(event.currentTarget.value)}>
            <option value="">whoever I am</option>
            ${flows.map((name) => html`<option key=${name} value=${name}>${flowWords(name)}</option>`)}</select></label>`}
        <${HonestNote} />
      </div>
    </main>`;
}

/** What can be done with a conversation that this tab does not hold. @param {{call: CallView}} props */
function Continue({ call }) {
  const elsewhere = isRunning(call);
  const words = elsewhere ? "This conversation goes on in another tab or window." : "This conversation has ended.";
  return html`
    <div class="ended"><p class="quiet">${words}</p>
      <${Trouble} />
      <div class="ended-buttons">
        <button class="button" type="button" disabled=${talk.phase.value !== "idle"} onClick=${() => talk.begin({ sessionId: call.id })}>
          ${icons.send()}<span>${elsewhere ? "Take it here" : "Continue by typing"}</span></button>
        <button class="button primary" type="button" disabled=${talk.phase.value !== "idle"} onClick=${() => talk.begin({ sessionId: call.id, microphone: true })}>
          ${icons.microphone()}<span>${elsewhere ? "Take it here, by voice" : "Continue where it stopped"}</span></button>
      </div>
    </div>`;
}

/** Between the caller's last word and the first of the answer. @param {CallView} call */
const thinking = (call) => isRunning(call) && call.story.heardTurn > call.story.spokenTurn && !call.reply && !call.partial;

/** @param {{call: CallView}} props */
function Conversation({ call }) {
  const mine = talk.talkingId.value === call.id && talk.phase.value !== "idle";
  const own = call.head.metadata?.user === me.value?.user || !call.head.call_id;
  const lost = mine && talk.phase.value !== "live";
  const waiting = call.missing ? "There is no such conversation, or it is not kept any more." : mine ? "Say something. The words appear here as you speak."
    : call.loaded ? "Nothing was said." : "Loading what was said …";
  return html`
    <main class="call" aria-labelledby="talk-title">
      <header class="call-head">
        <a class="button icon-only back" href=${address("talk")} aria-label="Back to all conversations">${icons.back()}</a>
        <div class="call-name"><h1 id="talk-title">${moment(startedAt(call)) || "Conversation"}</h1>
          <p class="quiet small"><span role="status"><${StatusChip} status=${statusOf(call)} /></span><span><${Lasted} key=${call.id} call=${call} /></span>
            ${call.head.metadata?.continues && html`<a href=${address("talk", call.head.metadata.continues)}>continues an earlier one</a>`}</p></div>
      </header>
      ${lost && html`<p class="banner bad" role="status">The line is down. Going on in a moment …</p>`}
      <div class="call-body">
        <div class="talk-column">
          <${Transcript} call=${call} waiting=${waiting} thinking=${thinking(call)} />
          ${mine ? html`<${Dock} />` : own && !call.missing && html`<${Continue} call=${call} />`}
        </div>
        <${Side} call=${call} />
      </div>
    </main>`;
}

/** @param {PageProps} props */
export default function Talk({ rest }) {
  useEffect(talk.goOn, [rest[0]]);
  const call = openCall.value;
  return html`
    <div class=${`live-page ${rest[0] ? "has-open" : ""}`}>
      <${Conversations} />
      ${!rest[0] ? html`<${Beginning} />` : call ? html`<${Conversation} call=${call} />`
        : html`<main class="place" aria-busy="true"><p class="quiet" role="status">Loading the conversation …</p></main>`}
    </div>`;
}
