// The panel beside the transcript: where the conversation stands, what came of it, how long it took.
import { html } from "../html.js";
import { icons } from "./icons.js";
import { Lasted } from "./tile.js";
import { about } from "../state.js";
import { isRunning } from "../trouble.js";
import { bookingFacts, slotName, slotValue, stageWords, stamp, statusWords, title, vendorWords } from "../words.js";
/** @import { CallView, TurnLatency } from "../types.js" */

const TURNS = 8; // a call of four hours has hundreds
const SLOTS = ["service_type", "preferred_date", "preferred_time"];

/** @param {{facts: Record<string, any>}} props */
export function Appointment({ facts }) {
  const { service, day, time, reference } = bookingFacts(facts);
  return html`
    <section class="card booked" aria-labelledby="booked-title">
      <h2 id="booked-title">${icons.calendar()}Appointment made</h2>
      <p class="booked-what">${service}</p>
      <p class="booked-when">${[day, time].filter(Boolean).join(", ")}</p>
      ${reference && html`<p class="quiet small">Reference <code>${reference}</code></p>`}
    </section>`;
}

/** @param {{call: CallView}} props */
export function Standing({ call }) {
  const kept = call.head.conversation_state ?? {};
  const state = call.story.state ?? kept.state;
  const intent = call.story.intent ?? kept.intent;
  /** @type {Record<string, any>} */
  const slots = call.story.state ? call.story.slots : kept.slots ?? {};
  const booking = !intent || /book/.test(intent) || SLOTS.some((name) => name in slots);
  const names = [...new Set([...(booking ? SLOTS : []), ...Object.keys(slots)])];
  return html`
    <section class="card" aria-labelledby="standing-title">
      <h2 id="standing-title">Conversation</h2>
      <dl class="facts">
        <div><dt>State</dt><dd class="state">${state ? title(state) : html`<span class="quiet">not started</span>`}</dd></div>
        <div><dt>Intent</dt><dd>${intent ? title(intent) : html`<span class="quiet">not known yet</span>`}</dd></div>
        ${names.map((name) => {
          const value = slotValue(name, slots[name]);
          return html`<div key=${name} class=${value ? "filled" : "open"} data-slot=${name}><dt>${slotName(name)}</dt>
            <dd>${value || html`<span class="quiet">not yet</span>`}</dd></div>`;
        })}
      </dl>
    </section>`;
}

/** @param {{call: CallView}} props */
export function Timeline({ call }) {
  if (!call.story.milestones.length) return null;
  return html`
    <section class="card" aria-labelledby="timeline-title">
      <h2 id="timeline-title">Status messages</h2>
      <ol class="timeline">
        ${call.story.milestones.map((mark) => html`
          <li key=${mark.seq} data-event=${mark.event}>
            <code>${mark.event}</code>
            <span>${mark.event === "call_status" ? statusWords(mark.detail) : mark.detail}</span>
            <span class="time"><span class="seq">#${mark.seq}</span><time datetime=${mark.ts}>${stamp(mark.ts)}</time></span>
          </li>`)}
      </ol>
    </section>`;
}

/** @param {{turn: TurnLatency, longest: number}} props */
function Turn({ turn, longest }) {
  const parts = turn.stages.filter(([, ms]) => ms > 0);
  return html`
    <li class="turn">
      <span class="turn-name">${turn.turn ? `Turn ${turn.turn}` : "Greeting"}</span>
      <span class="bar" aria-hidden="true">${parts.map(([name, ms]) => html`
        <span key=${name} class="stage" data-stage=${name} style=${{ width: `${(100 * ms) / longest}%` }}></span>`)}</span>
      <span class="time">${Math.round(turn.total)} ms</span>
      <ul class="turn-parts quiet small">${parts.map(([name, ms]) => html`
        <li key=${name}><span class="stage" data-stage=${name} aria-hidden="true"></span>${stageWords(name)} ${Math.round(ms)}</li>`)}</ul>
    </li>`;
}

/** @param {{call: CallView}} props */
export function Latency({ call }) {
  const turns = call.story.latencies;
  if (!turns.length) return null;
  const demo = about.value?.engines.some((engine) => engine.demo);
  const shown = turns.slice(-TURNS);
  const longest = Math.max(1, ...shown.map((turn) => turn.total));
  return html`
    <section class="card" aria-labelledby="latency-title">
      <h2 id="latency-title">Time to answer ${demo && html`<span class="tag">local demo engines</span>`}</h2>
      ${turns.length > TURNS && html`<p class="quiet small">The last ${TURNS} of ${turns.length} turns</p>`}
      <ol class="turns">${shown.map((turn) => html`<${Turn} key=${turn.turn} turn=${turn} longest=${longest} />`)}</ol>
    </section>`;
}

/** What the call has used, and what that costs where the price is known. @param {{call: CallView}} props */
export function Use({ call }) {
  const tokens = Math.max(call.story.tokens, call.head.total_tokens ?? 0);
  /** @type {Record<string, number>} */
  const told = call.head.metadata?.cost ?? call.head.cost ?? {};
  // While it runs its turns tell more than the list did when it was read; at its end the record tells what came after.
  const cost = (call.story.cost.usd ?? 0) > (told.usd ?? 0) && !call.head.metadata?.cost ? call.story.cost : told;
  const vendors = Object.entries(cost).filter(([name, dollars]) => typeof dollars === "number" && dollars > 0 && name !== "usd");
  const free = about.value?.engines.every((engine) => engine.demo);
  if (!call.story.turns && !tokens && !vendors.length) return null;
  const sum = vendors.reduce((all, [, dollars]) => all + dollars, 0);
  return html`
    <section class="card" aria-labelledby="use-title">
      <h2 id="use-title">${isRunning(call) ? "Used so far" : "Used"}</h2>
      <dl class="facts">
        <div><dt>Time</dt><dd><${Lasted} key=${call.id} call=${call} /></dd></div>
        <div><dt>Turns</dt><dd>${call.story.turns}</dd></div>
        <div><dt>Tokens</dt><dd>${tokens.toLocaleString("en")}</dd></div>
        <div><dt>Cost</dt><dd>${vendors.length ? html`$${sum.toFixed(3)} <span class="quiet">${vendors.map(([name, dollars]) => `${vendorWords(name)} $${dollars.toFixed(3)}`).join(", ")}</span>`
          : html`<span class="quiet">${free ? "none, nothing leaves this machine" : "known when the vendors have told it"}</span>`}</dd></div>
      </dl>
    </section>`;
}

/** @param {{call: CallView}} props */
export function Side({ call }) {
  return html`
    <aside class="side" tabindex="0" aria-label="Details of the call">
      ${call.story.appointment && html`<${Appointment} facts=${call.story.appointment} />`}
      <${Standing} call=${call} />
      <${Use} call=${call} />
      <${Timeline} call=${call} />
      <${Latency} call=${call} />
    </aside>`;
}
