// The live stream: one socket that comes back by itself and says truthfully whether it is there.
import { signal } from "@preact/signals";
import { ticket, socketAddress, token } from "./api.js";

const FIRST_DELAY = 500;
const LONGEST_DELAY = 15000;
const PING_MS = 20000;
const SILENCE_MS = 45000; // two pings without an answer: the line is dead though nobody closed it
const PING = JSON.stringify({ type: "ping" });

/** @typedef {"connecting" | "live" | "waiting"} Phase */
/** `retryAt`: when the next attempt is made (ms since epoch), while waiting. */
export const connection = signal(/** @type {{phase: Phase, retryAt: number}} */ ({ phase: "connecting", retryAt: 0 }));

/**
 * @param {{onMessage: (message: any) => void, onOpen: (again: boolean) => void}} handlers
 * @returns {() => void} stop
 */
export function connectEvents({ onMessage, onOpen }) {
  /** @type {WebSocket | null} */
  let socket = null;
  let timer = 0;
  let failures = 0;
  let opened = false;
  let beat = 0;
  let heard = 0;
  let stopped = false;

  async function attempt() {
    connection.value = { phase: "connecting", retryAt: 0 };
    try {
      const pass = await ticket();
      if (!stopped) open(pass);
    } catch {
      retry(); // No ticket: the server is away, or the login has ended and this stream is about to be stopped.
    }
  }

  /** @param {string} pass */
  function open(pass) {
    const mine = new WebSocket(socketAddress("/ws/events"));
    socket = mine;
    mine.onopen = () => mine.send(JSON.stringify({ type: "connect", ticket: pass }));
    mine.onmessage = (frame) => {
      const message = JSON.parse(frame.data);
      heard = Date.now();
      if (message.type === "authenticated") mine.send(PING);
      else if (message.type === "pong") answered();
      else onMessage(message);
    };
    mine.onclose = () => {
      if (socket !== mine) return;
      socket = null;
      clearInterval(beat);
      retry();
    };
    beat = setInterval(() => {
      if (mine.readyState !== WebSocket.OPEN) return;
      if (Date.now() - heard > SILENCE_MS) mine.close();
      else mine.send(PING);
    }, PING_MS);
  }

  /** The first answer means that the server's subscription stands: what is read from now on leaves no gap before it. */
  function answered() {
    if (connection.value.phase === "live") return;
    failures = 0;
    connection.value = { phase: "live", retryAt: 0 };
    onOpen(opened);
    opened = true;
  }

  /** Full jitter, doubled each time: many pages that lost one server must not come back in one moment. */
  function retry() {
    if (stopped || !token.value) return;
    const delay = FIRST_DELAY / 2 + Math.random() * Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** failures);
    failures += 1;
    connection.value = { phase: "waiting", retryAt: Date.now() + delay };
    clearTimeout(timer);
    timer = setTimeout(attempt, delay);
  }

  function now() {
    if (connection.value.phase !== "waiting") return;
    clearTimeout(timer);
    attempt();
  }

  /** The browser knows that there is no network; a close handshake would wait for one. */
  function lost() {
    const gone = socket;
    if (!gone) return;
    socket = null;
    clearInterval(beat);
    gone.close();
    retry();
  }

  window.addEventListener("online", now);
  window.addEventListener("offline", lost);
  attempt();
  return () => {
    stopped = true;
    clearTimeout(timer);
    clearInterval(beat);
    window.removeEventListener("online", now);
    window.removeEventListener("offline", lost);
    socket?.close();
  };
}
