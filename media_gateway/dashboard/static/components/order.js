// In which order calls are shown. While somebody reads (pointer or focus is among them) nothing moves.
import { computed, signal } from "@preact/signals";
import { now } from "./clock.js";
import { calls } from "../state.js";
import { inOrder, isRunning } from "../trouble.js";

const reading = signal(false);
/** @type {string[]} */
let last = [];

/** Ids of all calls, those in need first; the same array while the order is the same. */
export const order = computed(() => {
  const there = [...calls.value.values()].filter((call) => !call.missing);
  const next = inOrder(there, now.value, reading.value ? last : null);
  if (next.length !== last.length || next.some((id, at) => id !== last[at])) last = next;
  return last;
});

/** How many calls run. */
export const runningCount = computed(() => {
  let count = 0;
  for (const call of calls.value.values()) if (isRunning(call) && !call.missing) count += 1;
  return count;
});

const begin = () => (reading.value = true);
/** @param {any} event */
const end = (event) => {
  const place = event.currentTarget;
  if (place.contains(event.relatedTarget)) return;
  reading.value = place.matches(":hover") || place.contains(document.activeElement);
};

/** Put these on whatever holds the calls. */
export const holding = { onPointerEnter: begin, onPointerLeave: end, onFocusIn: begin, onFocusOut: end };

/** Nothing is read any more (the board was left by opening a call). */
export const letGo = () => {
  reading.value = false;
};
