import { useEffect, useRef, useState } from "preact/hooks";
import { isLost, paused } from "../focus.js";
import { html } from "../html.js";
import { icons } from "./icons.js";
import { wordsOf } from "./resource.js";
import { fetchFile } from "../files.js";
import { outline } from "../sounds.js";
/** @import { Outline } from "../sounds.js" */

const BYTES_PER_MS = 16;
const SLICES = 240;
const STEP = 3;
const HEIGHT = 56;

/** "2.4 MB". @param {number} bytes */
export const size = (bytes) => (bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

/** Can there be a file of it? @param {Record<string, any> | null | undefined} audio */
export const isKept = (audio) => Boolean(audio?.name || audio?.recorded);

/**
 * Both sides over the time, the caller above and the assistant below; what was played is dark. A click goes there; the
 * keyboard has the player's own slider.
 * @param {{of: Outline, at: number, seek: (seconds: number) => void}} props `at`: seconds
 */
function Waveform({ of, at, seek }) {
  const place = /** @type {{current: HTMLCanvasElement | null}} */ (useRef(null));
  useEffect(() => {
    const canvas = place.current;
    const pen = canvas?.getContext("2d");
    if (!canvas || !pen) return;
    const scale = devicePixelRatio || 1;
    canvas.width = SLICES * STEP * scale;
    canvas.height = HEIGHT * scale;
    pen.scale(scale, scale);
    const style = getComputedStyle(canvas);
    const colours = [style.color, style.caretColor]; // as they are in this theme: a variable would be read unresolved
    const played = (at / of.seconds) * SLICES;
    for (let slice = 0; slice < SLICES; slice += 1) {
      pen.globalAlpha = slice < played ? 1 : 0.45;
      const [up, down] = [of.sides[0][slice], (of.sides[1] ?? of.sides[0])[slice]].map((peak) => Math.max(0.5, Math.sqrt(peak) * (HEIGHT / 2 - 1)));
      pen.fillStyle = of.sides.length > 1 ? colours[0] : colours[1];
      pen.fillRect(slice * STEP, HEIGHT / 2 - up, STEP - 1, up);
      pen.fillStyle = colours[1];
      pen.fillRect(slice * STEP, HEIGHT / 2 + 0.5, STEP - 1, down);
    }
  }, [of, at]);
  /** @param {PointerEvent} event */
  const click = (event) => seek((event.offsetX / /** @type {HTMLElement} */ (event.target).clientWidth) * of.seconds);
  return html`<canvas class="waveform" ref=${place} aria-hidden="true" onPointerDown=${click}></canvas>`;
}

/**
 * The sound of a call, fetched when it is asked for: it can be large, and who fetches it is in the audit log.
 * @param {{id: string, audio: Record<string, any> | null, heard?: {current: ((ts: string) => void) | null}}} props
 *   `audio` as `post_call` tells it; `heard` is given how to play from a moment, where that is known
 */
export function Player({ id, audio, heard }) {
  const [address, setAddress] = useState("");
  const [shape, setShape] = useState(/** @type {Outline | null} */ (null));
  const [at, setAt] = useState(0);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const sound = /** @type {{current: HTMLAudioElement | null}} */ (useRef(null));
  const from = useRef(0); // seconds, where it is to begin
  const kept = isKept(audio);

  const load = async () => {
    setBusy(true);
    setError("");
    try {
      const { blob } = await fetchFile(`/api/v1/calls/${encodeURIComponent(id)}/export?format=wav`);
      setShape(await outline(await blob.arrayBuffer(), SLICES));
      setAddress(URL.createObjectURL(blob));
    } catch (problem) {
      setError(wordsOf(problem));
    } finally {
      setBusy(false);
    }
  };
  /** @param {number} seconds */
  const seek = (seconds) => {
    const element = sound.current;
    if (!element) {
      from.current = Math.max(0, seconds);
      return void (busy || load());
    }
    element.currentTime = Math.max(0, seconds);
    void element.play().catch(() => {}); // a browser that wants to be touched first
  };

  useEffect(() => () => void (address && URL.revokeObjectURL(address)), [address]);
  useEffect(() => {
    setAddress("");
    setShape(null);
    setAt(0);
    setError("");
    from.current = 0;
  }, [id, kept]);
  useEffect(() => {
    if (!address) return;
    if (isLost()) sound.current?.focus(); // it stands where the button was
    seek(from.current);
  }, [address]);
  useEffect(() => {
    if (!heard) return undefined;
    heard.current = audio?.began ? (ts) => seek((Date.parse(ts) - Date.parse(audio.began)) / 1000) : null;
    return () => void (heard.current = null);
  });

  if (!audio) return null;
  if (!kept) return html`<p class="player quiet small">The sound of this call is with ${audio.source === "elevenlabs" ? "ElevenLabs" : "the vendor"}; no copy is kept here.</p>`;
  const bytes = audio.bytes ?? (audio.ms ?? 0) * BYTES_PER_MS;
  return html`
    <div class="player">
      ${shape && html`<${Waveform} of=${shape} at=${at} seek=${seek} />
        <p class="waveform-key quiet small" aria-hidden="true">${shape.sides.length > 1 && html`<span>Caller</span><span>Assistant</span>`}</p>`}
      ${address ? html`<audio controls ref=${sound} src=${address} aria-label="The sound of this call" onTimeUpdate=${() => setAt(sound.current?.currentTime ?? 0)}></audio>`
        : html`<button class="button" type="button" ...${paused(busy)} onClick=${() => load()}>${icons.sound()}<span>${busy ? "Loading …" : "Play the call"}</span></button>
          ${bytes > 0 && html`<span class="quiet small">${size(bytes)}</span>`}`}
      ${error && html`<p class="error small" role="alert">${error}</p>`}
    </div>`;
}
