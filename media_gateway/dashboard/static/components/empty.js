import { html } from "../html.js";
import { StartButton, StartError } from "./start.js";
import { Composer } from "./composer.js";
import { about, ordered } from "../state.js";
import { title } from "../words.js";

/** Which engine serves each stage, and what would change it. */
function Engines() {
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

/** What is seen when no call is open. */
export function Empty() {
  if (about.value && !about.value.demo) {
    return html`<main class="empty"><div class="hero">
      <h1>${ordered.value.length ? "Choose a call" : "Waiting for the first call"}</h1>
      <p class="lede">${ordered.value.length ? "Its words appear here as they are spoken."
        : "Call your number. It appears on the left the moment it rings."}</p></div>
      <${Engines} /></main>`;
  }
  return html`
    <main class="empty">
      <div class="hero">
        <h1>Hear it take a call</h1>
        <p class="lede">A simulated caller rings the auto-service shop and books an appointment.
          You hear both sides and see every step.</p>
        <${StartButton} />
        <${StartError} />
        <p class="or" aria-hidden="true"><span>or be the caller yourself</span></p>
        <${Composer} callId=${null} label="Type what you would say" placeholder="I need an oil change tomorrow at two" />
      </div>
      <${Engines} />
    </main>`;
}
