import { html } from "../html.js";

/** @param {any} children @returns {any} */
const icon = (children) => html`
  <svg class="icon" viewBox="0 0 24 24" width="20" height="20" fill="none" stroke="currentColor" stroke-width="1.8"
    stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">${children}</svg>`;

export const icons = {
  live: () => icon(html`<path d="M4 12h3l2.5-6 4.5 12 2.5-6H20" />`),
  microphone: () => icon(html`<rect x="9" y="3" width="6" height="11" rx="3" /><path d="M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3" />`),
  history: () => icon(html`<path d="M4 12a8 8 0 1 0 2.5-5.8M4 4v4h4M12 8v4.5l3 2" />`),
  numbers: () => icon(html`<path d="M5 20v-7M12 20V5M19 20v-11" />`),
  place: () => icon(html`<path d="M6.5 3.5h3l1.5 4-2 1.5a12 12 0 0 0 6 6l1.5-2 4 1.5v3a2 2 0 0 1-2.2 2A17.3 17.3 0 0 1 4.5 5.7a2 2 0 0 1 2-2.2zM15 4h5v5M20 4l-6 6" />`),
  setup: () => icon(html`<path d="M4 7h9M17 7h3M4 17h3M11 17h9" /><circle cx="15" cy="7" r="2" /><circle cx="9" cy="17" r="2" />`),
  copy: () => icon(html`<rect x="8.5" y="8.5" width="12" height="12" rx="2.5" /><path d="M15.5 8.5v-3a2 2 0 0 0-2-2h-8a2 2 0 0 0-2 2v8a2 2 0 0 0 2 2h3" />`),
  warning: () => icon(html`<path d="M12 4l9 16H3zM12 10v4.5M12 17.3v.2" />`),
  whisper: () => icon(html`<path d="M4 5h16v11H10l-4 4v-4H4zM8 9h8M8 12h5" />`),
  hangup: () => icon(html`<path d="M3.5 14.5c4.7-4.7 12.300-4.700 17 0l-2.500 2.500-3.500-2v-2.500a9 9 0 0 0-5 0V15L6 17z" />`),
  transfer: () => icon(html`<path d="M4 8h13M13 4l4 4-4 4M20 16H7M11 12l-4 4 4 4" />`),
  check: () => icon(html`<path d="M5 12.500l4.500 4.500L19 7.500" />`),
  cross: () => icon(html`<path d="M6 6l12 12M18 6L6 18" />`),
  phone: () => icon(html`<path d="M6.5 3.5h3l1.5 4-2 1.5a12 12 0 0 0 6 6l1.5-2 4 1.5v3a2 2 0 0 1-2.2 2A17.3 17.3 0 0 1 4.5 5.7a2 2 0 0 1 2-2.2z" />`),
  sun: () => icon(html`<circle cx="12" cy="12" r="4" /><path d="M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4" />`),
  moon: () => icon(html`<path d="M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z" />`),
  back: () => icon(html`<path d="M15 5l-7 7 7 7" />`),
  send: () => icon(html`<path d="M4 12l16-8-6 16-3-6.5z" />`),
  sound: () => icon(html`<path d="M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 9a4 4 0 0 1 0 6M18 6.5a7.5 7.5 0 0 1 0 11" />`),
  silent: () => icon(html`<path d="M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM16 9.5l5 5M21 9.5l-5 5" />`),
  calendar: () => icon(html`<rect x="3.5" y="5" width="17" height="15.5" rx="2.5" /><path d="M3.5 10h17M8 2.5v4M16 2.5v4M9 15l2 2 4-4" />`),
  search: () => icon(html`<circle cx="11" cy="11" r="6.5" /><path d="M16 16l4.5 4.5" />`),
  person: () => icon(html`<circle cx="12" cy="8" r="4" /><path d="M4.5 20a7.5 7.5 0 0 1 15 0" />`),
  tool: () => icon(html`<circle cx="12" cy="12" r="3" /><path d="M12 3v3M12 18v3M3 12h3M18 12h3M5.6 5.6l2.2 2.2M16.2 16.2l2.2 2.2M5.6 18.4l2.2-2.2M16.2 7.8l2.2-2.2" />`),
  key: () => icon(html`<circle cx="8" cy="15.500" r="4.500" /><path d="M11.500 12.500L20 4M16 8l3 3" />`),
  play: () => icon(html`<path d="M7 4.500l12 7.500-12 7.500z" />`),
  down: () => icon(html`<path d="M12 5v14M6 13l6 6 6-6" />`),
  leave: () => icon(html`<path d="M14 4h-8v16h8M10 12h11M17 8l4 4-4 4" />`),
};
