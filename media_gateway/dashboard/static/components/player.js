import { useEffect, useState } from "preact/hooks";
import { html } from "../html.js";
import { icons } from "./icons.js";
import { wordsOf } from "./resource.js";
import { fetchFile } from "../files.js";

/** "2.4 MB". @param {number} bytes */
export const size = (bytes) => (bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

/**
 * The sound of a call, fetched when it is asked for: it can be large.
 * @param {{id: string, audio: Record<string, any> | null}} props `audio` as `post_call` tells it
 */
export function Player({ id, audio }) {
  const [address, setAddress] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  useEffect(() => () => void (address && URL.revokeObjectURL(address)), [address]);
  useEffect(() => (setAddress(""), setError("")), [id]);
  if (!audio) return null;
  if (!audio.name) return html`<p class="player quiet small">The sound of this call is with ${audio.source === "elevenlabs" ? "ElevenLabs" : "the vendor"}; no copy is kept here.</p>`;
  const load = async () => {
    setBusy(true);
    setError("");
    try {
      const { blob } = await fetchFile(`/api/v1/calls/${encodeURIComponent(id)}/export?format=wav`);
      setAddress(URL.createObjectURL(blob));
    } catch (problem) {
      setError(wordsOf(problem));
    } finally {
      setBusy(false);
    }
  };
  return html`
    <div class="player">
      ${address ? html`<audio controls autoplay src=${address} aria-label="The sound of this call"></audio>`
        : html`<button class="button" type="button" disabled=${busy} onClick=${load}>${icons.sound()}<span>${busy ? "Loading …" : "Play the call"}</span></button>
          ${audio.bytes && html`<span class="quiet small">${size(audio.bytes)}</span>`}`}
      ${error && html`<p class="error small" role="alert">${error}</p>`}
    </div>`;
}
