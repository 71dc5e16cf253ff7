// A supervisor speaks with the caller: the browser's microphone up, the caller's side down.
import { signal } from "@preact/signals";
import { socketAddress, ticket } from "./api.js";
import { command } from "./commands.js";
import { playSide, prepareSound, listeningTo, mute } from "./audio.js";
import { closeMicrophone, micTrouble, openMicrophone } from "./microphone.js";

const NOT_YET = new Set([4404, 4409]); // the command has not reached the call yet
const TRIES = 20;
const AGAIN_MS = 300;

/** The call in which this browser speaks; "" for none. */
export const speakingIn = signal("");
/** Why it ended, when it was not this supervisor who ended it. */
export const speakingTrouble = signal("");

/** @type {WebSocket | null} */
let socket = null;

/** Must run inside a click. Raises what the server refuses (403, 409), and a clear word when there is no microphone. @param {string} callId */
export async function takeOver(callId) {
  speakingTrouble.value = "";
  const sound = prepareSound();
  const opened = await openMicrophone((pcm) => {
    if (socket?.readyState === WebSocket.OPEN && speakingIn.value === callId) socket.send(pcm);
  });
  if (!opened) throw new Error(micTrouble.value.replace("You can type instead.", "Use your own phone instead.").replace("You can type meanwhile.", ""));
  try {
    await sound;
    await command(callId, "takeover", { by: "browser" });
  } catch (problem) {
    closeMicrophone();
    throw problem;
  }
  if (listeningTo.value) mute(); // what the caller says comes once
  speakingIn.value = callId;
  await connect(callId, TRIES);
}

/** @param {string} callId @param {number} tries */
async function connect(callId, tries) {
  let pass;
  try {
    pass = await ticket();
  } catch (problem) {
    return end(problem instanceof Error ? problem.message : String(problem));
  }
  if (speakingIn.value !== callId) return;
  const mine = new WebSocket(socketAddress(`/api/v1/calls/${encodeURIComponent(callId)}/takeover?format=pcm16`));
  mine.binaryType = "arraybuffer";
  socket = mine;
  mine.onopen = () => mine.send(JSON.stringify({ type: "auth", ticket: pass }));
  mine.onmessage = ({ data }) => {
    if (data instanceof ArrayBuffer) playSide(data);
  };
  mine.onclose = ({ code, reason }) => {
    if (socket !== mine) return;
    socket = null;
    if (NOT_YET.has(code) && tries > 1) {
      setTimeout(() => {
        if (speakingIn.value === callId) void connect(callId, tries - 1);
      }, AGAIN_MS);
    } else end(code === 1000 ? "" : `You do not speak with the caller any more${reason ? `: ${reason}` : ""}.`);
  };
}

/** @param {string} trouble */
function end(trouble) {
  speakingIn.value = "";
  speakingTrouble.value = trouble;
  closeMicrophone();
}

/** Give the caller back to the assistant. */
export function giveBack() {
  const closing = socket;
  socket = null;
  if (closing?.readyState === WebSocket.OPEN) closing.send(JSON.stringify({ type: "release" }));
  closing?.close();
  end("");
}
