// Listening in: both sides of a call from a socket into an AudioWorklet.
import { signal } from "@preact/signals";
import { ticket, socketAddress } from "./api.js";

/** @type {AudioContext | null} */
let context = null;
/** @type {AudioWorkletNode | null} */
let player = null;
/** @type {WebSocket | null} */
let socket = null;

const VOICE = 2;
const NOT_YET = 4404; // the call has not reached its session yet
const TRIES = 40;
const AGAIN_MS = 250;

/** "" = off, else the id of the call that is heard. */
export const listeningTo = signal("");
/** Loudness now, 0 to 1: caller and assistant of the call that is heard, assistant of a conversation in this browser. */
export const levels = signal(/** @type {number[]} */ ([0, 0, 0]));
/** Why there is no sound; "" when all is well. */
export const soundTrouble = signal("");

/** Call this inside a click: browsers give no sound without one. */
export async function prepareSound() {
  if (!context) {
    context = new AudioContext({ latencyHint: "interactive" });
    await context.audioWorklet.addModule("/static/worklets/player.js");
    player = new AudioWorkletNode(context, "phone-player", { numberOfInputs: 0, outputChannelCount: [1] });
    player.port.onmessage = ({ data }) => (levels.value = data);
    player.connect(context.destination);
  }
  await context.resume();
}

/** A page that was loaded again has no sound until it is touched. */
for (const touch of ["pointerdown", "keydown"]) {
  window.addEventListener(touch, () => {
    if (context?.state === "suspended") void context.resume();
  }, { passive: true });
}

/** Play this piece of a conversation in this browser: 16 kHz, 16 bit. @param {ArrayBuffer} pcm */
export function playVoice(pcm) {
  if (context?.state !== "running") return; // it would be heard late, when somebody clicks
  const message = new Uint8Array(pcm.byteLength + 1);
  message[0] = VOICE;
  message.set(new Uint8Array(pcm), 1);
  player?.port.postMessage(message.buffer, [message.buffer]);
}

/** Play one side of a phone call: a byte for the side and mu-law. @param {ArrayBuffer} frame */
export const playSide = (frame) => player?.port.postMessage(frame, [frame]);

/** Drop what was not played of it. */
export const dropVoice = () => player?.port.postMessage(new Uint8Array([VOICE]).buffer);

/** Hear this call. @param {string} callId */
export async function listen(callId) {
  if (listeningTo.value) mute();
  listeningTo.value = callId;
  soundTrouble.value = "";
  try {
    await prepareSound();
    await openSocket(callId, TRIES);
  } catch {
    stopListening();
    soundTrouble.value = "This browser gave no sound. The transcript goes on.";
  }
}

/** Silence at once, also for what was sent ahead of time. */
export function mute() {
  stopListening();
  for (const side of [0, 1]) player?.port.postMessage(new Uint8Array([side]).buffer);
}

/** A call that was placed a moment ago is not there yet: ask again. @param {string} callId @param {number} tries */
async function openSocket(callId, tries) {
  const pass = await ticket();
  if (listeningTo.value !== callId) return;
  const hearing = new WebSocket(socketAddress(`/api/v1/calls/${encodeURIComponent(callId)}/listen`));
  hearing.binaryType = "arraybuffer";
  hearing.onopen = () => hearing.send(JSON.stringify({ type: "connect", ticket: pass }));
  hearing.onmessage = ({ data }) => {
    if (data instanceof ArrayBuffer) player?.port.postMessage(data, [data]);
  };
  hearing.onclose = ({ code }) => {
    if (socket !== hearing) return;
    if (code !== NOT_YET || tries <= 1) return stopListening();
    setTimeout(() => {
      if (listeningTo.value === callId) openSocket(callId, tries - 1).catch(stopListening);
    }, AGAIN_MS);
  };
  socket = hearing;
}

/** No more sound comes; what is there plays to its end. */
export function stopListening() {
  const closing = socket;
  socket = null;
  closing?.close();
  listeningTo.value = "";
  levels.value = [0, 0, 0];
}
