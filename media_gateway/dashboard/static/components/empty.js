import { html } from "../html.js";
import { StartButton, StartError } from "./start.js";
import { Composer } from "./composer.js";
import { about, calls } from "../state.js";
import { address } from "../router.js";
import { title } from "../words.js";

/** Which engine serves each stage, and what would change it. */
export function Engines() {
  const facts = about.value;
  if (!facts) return null;
  return html`
    <section class="engines" aria-labelledby="engines-title">
      <h2 id="engines-title">What is running</h2>
      <dl>
        ${facts.engines.map((engine) => html`
          <div key=${engine.stage}>
            <dt>${title(engine.stage)}</dt>
            <dd><span class="engine-name">${engine.name}${engine.demo && html` <span class="tag">demo</span>`}</span>
              ${engine.unlock && html`<span class="quiet small">Set ${engine.unlock} for a real engine</span>`}</dd>
          </div>`)}
        <div key="store"><dt>Store</dt><dd><span class="engine-name">${facts.store}</span></dd></div>
      </dl>
    </section>`;
}

/** What is seen when no call runs. */
export function Hero() {
  const talk = html`<p class="quiet">No phone at hand? <a href=${address("talk")}>Talk to it in this browser</a>.</p>`;
  if (about.value && !about.value.demo) {
    const any = calls.value.size > 0;
    return html`<div class="hero">
      <h1>${any ? "No call is running" : "Waiting for the first call"}</h1>
      <p class="lede">${any ? "The next one appears here the moment it rings." : "Call your number. It appears here the moment it rings."}</p>
      ${talk}</div>`;
  }
  return html`
    <div class="hero">
      <h1>Hear it take a call</h1>
      <p class="lede">A simulated caller rings the auto-service shop and books an appointment.
        You hear both sides and see every step.</p>
      <${StartButton} />
      <${StartError} />
      <p class="or" aria-hidden="true"><span>or be the caller yourself</span></p>
      <${Composer} callId=${null} label="Type what you would say" placeholder="I need an oil change tomorrow at two" />
      ${talk}
    </div>`;
}
