import { html } from "../html.js";

const BARS = 14;

/** Loudness as it is felt: 40 dB over the bars. @param {{level: number, label: string}} props */
export function Level({ level, label }) {
  const lit = Math.round(Math.min(1, Math.max(0, 1 + Math.log10(Math.max(level, 1e-4)) / 2)) * BARS);
  return html`<span class="level" role="img" aria-label=${label} data-lit=${lit}>
    ${Array.from({ length: BARS }, (_, at) => html`<i key=${at} class=${at < lit ? "lit" : ""}></i>`)}</span>`;
}
