// A text that is to be entered elsewhere, with a button that copies it.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../html.js";
import { icons } from "./icons.js";

const SHOWN_MS = 2500;

/** Where the browser has no clipboard for us (no https), what is marked is copied as by the keyboard.
 * @param {string} text @param {HTMLElement} place */
async function copy(text, place) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch { /* not allowed: the other way */ }
  }
  const range = document.createRange();
  range.selectNodeContents(place);
  const selection = getSelection();
  selection?.removeAllRanges();
  selection?.addRange(range);
  return document.execCommand("copy");
}

/** @param {{text: string, what: string}} props `what`: what it is, for the button's name */
export function Copied({ text, what }) {
  const place = /** @type {{current: HTMLElement | null}} */ (useRef(null));
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (!said) return undefined;
    const timer = setTimeout(() => setSaid(""), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [said]);
  const press = async () => {
    if (place.current) setSaid((await copy(text, place.current)) ? "Copied" : "Press Ctrl+C");
  };
  return html`
    <div class="copied">
      <code ref=${place}>${text}</code>
      <button class="button" type="button" onClick=${press} aria-label=${`Copy ${what}`}>${said ? icons.check() : icons.copy()}<span>${said || "Copy"}</span></button>
      <span class="hidden" role="status">${said && `${what}: ${said}`}</span>
    </div>`;
}
