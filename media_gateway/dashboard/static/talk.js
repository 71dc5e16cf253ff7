// A conversation with the assistant in this browser: one socket that goes on after a break, the microphone, the sound.
import { computed, effect, signal } from "@preact/signals";
import { socketAddress, ticket } from "./api.js";
import { dropVoice, playVoice, prepareSound } from "./audio.js";
import { closeMicrophone, FRAME_BYTES, openMicrophone } from "./microphone.js";
import { address, go, route } from "./router.js";
import { calls, expectCall, feed } from "./state.js";

const MINE = "callboard.talking";
const AGAIN_MS = 400;
const TRIES = 8;
const OPEN_MS = 15000;

/** @typedef {"idle" | "connecting" | "live" | "reconnecting"} TalkPhase */
export const phase = signal(/** @type {TalkPhase} */ ("idle"));
/** The conversation that this tab holds; "" for none. */
export const talkingId = signal(sessionStorage.getItem(MINE) ?? "");
/** What went wrong, for the one who talks; "" when nothing did. */
export const talkTrouble = signal("");
export const micOn = signal(false);
/** Open: everything is heard. Push: only while the button is held. */
export const mode = signal(/** @type {"open" | "push"} */ (localStorage.getItem("callboard.mic-mode") === "push" ? "push" : "open"));
export const held = signal(false);
export const speakerOn = signal(true);
/** Is what the microphone hears sent on? */
export const heard = computed(() => micOn.value && (mode.value === "open" || held.value));

/** @type {WebSocket | null} */
let socket = null;
let tries = 0;
/** What was typed before it could be said: the greeting, which says what this is, is heard first. */
export const unsent = signal(/** @type {string[]} */ ([]));
const GREETING_MS = 15000;
let greetedBy = 0;

/** @param {string} id */
function hold(id) {
  talkingId.value = id;
  if (id) sessionStorage.setItem(MINE, id);
  else sessionStorage.removeItem(MINE);
}

/**
 * Begin, or with `sessionId` go on. With `microphone` it must run inside a click.
 * @param {{sessionId?: string, flow?: string, text?: string, microphone?: boolean}} [wish]
 */
export async function begin({ sessionId = "", flow = "", text = "", microphone = false } = {}) {
  leave();
  talkTrouble.value = "";
  phase.value = "connecting";
  tries = TRIES;
  unsent.value = text ? [text] : [];
  void prepareSound().catch(() => (talkTrouble.value = "This browser gives no sound. What is said is written below."));
  if (microphone) await useMicrophone();
  await connect(sessionId, flow);
}

/** @param {string} sessionId @param {string} [flow] */
async function connect(sessionId, flow = "") {
  let pass;
  try {
    pass = await ticket();
  } catch (problem) {
    return again(sessionId, problem instanceof Error ? problem.message : String(problem));
  }
  if (phase.value === "idle") return;
  const mine = new WebSocket(socketAddress("/ws/voice"));
  mine.binaryType = "arraybuffer";
  socket = mine;
  const late = setTimeout(() => mine.close(), OPEN_MS);
  mine.onopen = () => mine.send(JSON.stringify({ type: "auth", ticket: pass }));
  mine.onmessage = ({ data }) => {
    if (socket !== mine) return;
    if (data instanceof ArrayBuffer) {
      if (speakerOn.value) playVoice(data);
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "authenticated") {
      const wish = { ...(sessionId ? { session_id: sessionId } : {}), ...(flow ? { flow } : {}) };
      mine.send(JSON.stringify({ type: "start", ...wish }));
    } else if (message.event === "started") {
      clearTimeout(late);
      started(message.data.session_id, message.data.resumed);
    } else if (message.event === "clear") dropVoice();
    else if (message.type === "error") talkTrouble.value = message.message;
    else if (message.event) feed(message);
  };
  mine.onclose = ({ code }) => {
    clearTimeout(late);
    if (socket === mine) closed(code, talkingId.value || sessionId);
  };
}

/** @param {string} id @param {boolean} resumed */
function started(id, resumed) {
  greetedBy = resumed ? 0 : Date.now() + GREETING_MS;
  setTimeout(sendUnsent, GREETING_MS);
  phase.value = "live";
  tries = TRIES;
  hold(id);
  expectCall(id);
  if (route.value.page === "talk" && route.value.rest[0] !== id) go(address("talk", id), { replace: Boolean(route.value.rest[0]) });
  sendUnsent();
}

/** Once the greeting was heard (or has had its time), what was typed meanwhile is said. */
function sendUnsent() {
  if (phase.value !== "live" || !unsent.value.length || socket?.readyState !== WebSocket.OPEN) return;
  if (!greeted()) return;
  for (const text of unsent.value) socket.send(JSON.stringify({ type: "text", text }));
  unsent.value = [];
}

const greeted = () => Date.now() >= greetedBy || (calls.value.get(talkingId.value)?.story.spokenTurn ?? -1) >= 0;
effect(() => {
  if (talkingId.value && calls.value.get(talkingId.value)) sendUnsent();
});

/** @param {number} code @param {string} id */
function closed(code, id) {
  socket = null;
  dropVoice();
  if (code === 1000) {
    const over = calls.value.get(id)?.story.completed ?? true;
    finish(over ? "" : "This conversation goes on in another tab or window.");
  } else if (code === 4403) finish(talkTrouble.value || "You are signed in as a viewer. Talking to the assistant needs the role operator.");
  else if (code === 1013) finish("No room for another call just now. Try again in a moment.");
  else if (code === 4400 || code === 4429) finish(talkTrouble.value || "The server did not understand this browser.");
  else again(id, "The server does not answer. What was said is kept.");
}

/** @param {string} id @param {string} why */
function again(id, why) {
  if (phase.value === "idle") return;
  if (tries <= 0) return finish(why);
  phase.value = "reconnecting";
  const wait = AGAIN_MS * 2 ** Math.min(4, TRIES - tries) * (0.5 + Math.random());
  tries -= 1;
  setTimeout(() => {
    if (phase.value === "reconnecting") void connect(id);
  }, wait);
}

/** @param {string} trouble */
function finish(trouble) {
  phase.value = "idle";
  talkTrouble.value = trouble;
  micOn.value = false;
  unsent.value = [];
  closeMicrophone();
  hold("");
}

/** Hang up. */
export function hangUp() {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "stop" }));
  else finish("");
}

/** Leave the line without a word (another conversation begins). */
function leave() {
  const closing = socket;
  socket = null;
  closing?.close();
  dropVoice();
  phase.value = "idle";
}

/** Typed instead of said. @param {string} text */
export function say(text) {
  unsent.value = [...unsent.value, text];
  sendUnsent();
}

/** Must run inside a click. */
export async function useMicrophone() {
  micOn.value = await openMicrophone((pcm) => {
    if (phase.value !== "live" || socket?.readyState !== WebSocket.OPEN) return;
    // Silence goes on, so that the end of a turn is heard as one.
    socket.send(heard.value ? pcm : new ArrayBuffer(FRAME_BYTES));
  });
}

export function muteMicrophone() {
  micOn.value = false;
  closeMicrophone();
}

/** @param {"open" | "push"} to */
export function setMode(to) {
  mode.value = to;
  localStorage.setItem("callboard.mic-mode", to);
}

export function toggleSpeaker() {
  speakerOn.value = !speakerOn.value;
  if (!speakerOn.value) dropVoice();
}

/** After a reload: this tab was talking, so it goes on, at first by keyboard (browsers give no sound without a click). */
export function goOn() {
  const id = talkingId.value;
  if (id && phase.value === "idle" && route.value.rest[0] === id) void begin({ sessionId: id });
}
