// What a recording looks like: the loudest sample of each side in each slice of time. Pure, but for the decoder.

/** @typedef {{sides: number[][], seconds: number}} Outline `sides`: caller, assistant; loudness 0 to 1 a slice */

const MULAW = 7;
const MOST_DECODED = 24e6; // bytes of a compressed file: decoded it is ten times as much

/** Loudness of every mu-law byte (G.711), 0 to 1. */
const LOUDNESS = Float32Array.from({ length: 256 }, (_, byte) => {
  const code = ~byte & 0xff;
  return ((((code & 15) << 3) + 0x84) * 2 ** ((code >> 4) & 7) - 0x84) / 32124;
});

/** Where the samples of a WAV of mu-law are; null for any other file. @param {DataView} file */
function mulawIn(file) {
  if (file.byteLength < 44 || file.getUint32(0) !== 0x52494646) return null;
  let channels = 0;
  let rate = 0;
  for (let at = 12; at + 8 <= file.byteLength; ) {
    const [name, size] = [file.getUint32(at), file.getUint32(at + 4, true)];
    if (name === 0x666d7420) {
      if (file.getUint16(at + 8, true) !== MULAW) return null;
      [channels, rate] = [file.getUint16(at + 10, true), file.getUint32(at + 12, true)];
    }
    if (name === 0x64617461) return channels ? { start: at + 8, end: Math.min(file.byteLength, at + 8 + size), channels, rate } : null;
    at += 8 + size + (size & 1);
  }
  return null;
}

/** @param {number} slices @param {number} channels @param {number} samples @param {(sample: number, channel: number) => number} loud */
function measured(slices, channels, samples, loud) {
  return Array.from({ length: channels }, (_, channel) => Array.from({ length: slices }, (_, slice) => {
    const [from, to] = [Math.floor((slice * samples) / slices), Math.floor(((slice + 1) * samples) / slices)];
    const step = Math.max(1, Math.floor((to - from) / 400)); // of a long slice some hundred samples say enough
    let peak = 0;
    for (let at = from; at < to; at += step) peak = Math.max(peak, loud(at, channel));
    return peak;
  }));
}

/** @param {ArrayBuffer} file @param {number} slices @returns {Promise<Outline | null>} null where it cannot be told */
export async function outline(file, slices) {
  const found = mulawIn(new DataView(file));
  if (found) {
    const bytes = new Uint8Array(file, found.start, found.end - found.start);
    const samples = Math.floor(bytes.length / found.channels);
    const sides = measured(slices, found.channels, samples, (at, side) => LOUDNESS[bytes[at * found.channels + side]]);
    return { sides, seconds: samples / found.rate };
  }
  if (file.byteLength > MOST_DECODED) return null;
  try {
    const sound = await new OfflineAudioContext(1, 1, 8000).decodeAudioData(file.slice(0));
    const channels = Array.from({ length: Math.min(2, sound.numberOfChannels) }, (_, number) => sound.getChannelData(number));
    return { sides: measured(slices, channels.length, sound.length, (at, side) => Math.abs(channels[side][at])), seconds: sound.duration };
  } catch {
    return null;
  }
}
