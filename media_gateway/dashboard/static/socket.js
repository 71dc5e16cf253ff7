// The live connection: callboard.v1, and what the page says of it.
import { signal } from "@preact/signals";
import { CallboardClient } from "./callboard-client.js";
import { ApiError, request, ticket } from "./api.js";

/**
 * live; connecting for the first time; waiting for the next attempt; polling the journal meanwhile; degraded (the server
 * has lost its store, what is shown may be old); stopped (the server refuses this page).
 * @typedef {"connecting" | "live" | "degraded" | "waiting" | "polling" | "stopped"} Phase
 */
/** `retryAt`: when the next attempt is made (ms since epoch), while waiting. */
export const connection = signal(/** @type {{phase: Phase, retryAt: number}} */ ({ phase: "connecting", retryAt: 0 }));

async function pass() {
  try {
    return await ticket();
  } catch (error) {
    // Signed out: this page is about to be left. Anything else passes.
    if (error instanceof ApiError && error.status === 401) throw Object.assign(error, { fatal: true });
    throw error;
  }
}

/**
 * @param {{onEvent: (message: any) => void, onHeads: (heads: Array<Record<string, any>>, resumed: boolean) => void,
 *   onSnapshot: (message: any) => void}} handlers
 * @returns {() => void} stop
 */
export function connectEvents({ onEvent, onHeads, onSnapshot }) {
  let polled = false; // does the journal answer while there is no socket?
  /** @type {import("./callboard-client.js").ConnectionState} */
  let told = { phase: "connecting", retryAt: 0, degraded: false, code: 0, reason: "" };

  function say() {
    const { phase, retryAt, degraded } = told;
    const missing = phase === "polling" && !polled ? "waiting" : phase;
    connection.value = { phase: phase === "live" && degraded ? "degraded" : missing, retryAt };
  }

  const client = new CallboardClient({
    ticket: pass,
    get: async (path) => {
      try {
        const answer = await request(path);
        polled = true;
        return answer;
      } catch (error) {
        polled = false;
        throw error;
      } finally {
        say();
      }
    },
    onHeads: (heads, { resumed }) => onHeads(heads, resumed),
    onEvent,
    onLive: onEvent,
    onSnapshot,
    onState: (state) => {
      if (state.phase === "live") polled = false;
      told = state;
      say();
    },
  });
  connection.value = { phase: "connecting", retryAt: 0 };
  client.watchAll();

  // The browser knows that there is no network before a line that nobody closed is found out.
  const lost = () => client.lost();
  window.addEventListener("offline", lost);
  return () => {
    window.removeEventListener("offline", lost);
    client.stop();
  };
}
