// The browser's microphone as frames of 20 ms at 16 kHz, for a conversation or for taking a call over.
import { signal } from "@preact/signals";

const DEVICE = "callboard.microphone";
export const FRAME_BYTES = 640;

/** Loudness now, 0 to 1. */
export const micLevel = signal(0);
/** Why there is no microphone, as a person can act on it; "" when all is well. */
export const micTrouble = signal("");
/** The microphones there are; without permission their names are not known. */
export const devices = signal(/** @type {Array<{id: string, name: string}>} */ ([]));
export const deviceId = signal(localStorage.getItem(DEVICE) ?? "");

/** @type {{stream: MediaStream, context: AudioContext} | null} */
let open = null;

/** @param {unknown} problem */
function words(problem) {
  const name = problem instanceof DOMException ? problem.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") {
    return "The browser does not let this page use the microphone. Allow it beside the address, then try again. You can type meanwhile.";
  }
  if (name === "NotFoundError" || name === "OverconstrainedError") return "No microphone was found. You can type instead.";
  if (name === "NotReadableError") return "Another program holds the microphone. Close it there, then try again.";
  return "The microphone could not be opened. You can type instead.";
}

async function listDevices() {
  const all = await navigator.mediaDevices.enumerateDevices();
  devices.value = all.filter((one) => one.kind === "audioinput" && one.deviceId)
    .map((one, at) => ({ id: one.deviceId, name: one.label || `Microphone ${at + 1}` }));
}

/**
 * Open it; `onFrame` gets every frame. False when it cannot be had: `micTrouble` says why.
 * @param {(pcm: ArrayBuffer) => void} onFrame @returns {Promise<boolean>}
 */
export async function openMicrophone(onFrame) {
  closeMicrophone();
  micTrouble.value = "";
  if (!navigator.mediaDevices) {
    micTrouble.value = "Browsers give a microphone only to https pages and to this machine itself. You can type instead.";
    return false;
  }
  try {
    const wanted = deviceId.value ? { deviceId: { ideal: deviceId.value } } : {};
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { ...wanted, channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
    const context = new AudioContext({ latencyHint: "interactive" });
    open = { stream, context };
    await context.audioWorklet.addModule("/static/worklets/mic.js");
    const node = new AudioWorkletNode(context, "microphone", { numberOfInputs: 1, numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    node.port.onmessage = ({ data }) => {
      micLevel.value = data.peak;
      onFrame(data.pcm);
    };
    context.createMediaStreamSource(stream).connect(node);
    stream.getAudioTracks()[0].onended = () => {
      closeMicrophone();
      micTrouble.value = "The microphone was unplugged. Choose another one, or type.";
    };
    await listDevices();
    return true;
  } catch (problem) {
    closeMicrophone();
    micTrouble.value = words(problem);
    return false;
  }
}

export function closeMicrophone() {
  const closing = open;
  open = null;
  micLevel.value = 0;
  for (const track of closing?.stream.getTracks() ?? []) {
    track.onended = null;
    track.stop();
  }
  void closing?.context.close();
}

/** @param {string} id */
export function chooseDevice(id) {
  deviceId.value = id;
  localStorage.setItem(DEVICE, id);
}
