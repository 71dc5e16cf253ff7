// Plays what is said on a call. A message is one byte for the side and the sound: 0 the caller and 1 the assistant of a
// phone call (mu-law, 8 kHz), 2 the assistant of a conversation in this browser (16 kHz, signed 16 bit). A message without
// sound empties that side (the assistant was interrupted).

const RATES = [8000, 8000, 16000];
const PCM = 2;
const START_S = 0.1; // jitter buffer: so much must be there before a side starts, or starts again
const LONGEST_S = 60; // the assistant's sound comes ahead of time; more than this is a fault and is dropped
const REPORT_BLOCKS = 12; // blocks of 128 samples between two level reports, about 30 ms at 48 kHz

/** G.711 mu-law, all 256 codes. */
const TABLE = Float32Array.from({ length: 256 }, (_, code) => {
  const bits = ~code & 0xff;
  const magnitude = (((bits & 0x0f) << 3) + 0x84) << ((bits & 0x70) >> 4);
  return ((bits & 0x80 ? 0x84 - magnitude : magnitude - 0x84) / 32768);
});

/** @param {number} side @param {ArrayBuffer} message @returns {Float32Array} */
function samplesOf(side, message) {
  if (side === PCM) return Float32Array.from(new Int16Array(message.slice(1)), (value) => value / 32768);
  return Float32Array.from(new Uint8Array(message, 1), (code) => TABLE[code]);
}

class Side {
  /** @param {number} rate samples a second */
  constructor(rate) {
    this.rate = rate;
    this.empty();
  }

  empty() {
    /** @type {Float32Array[]} */
    this.queue = [];
    this.size = 0;
    this.at = 0; // position in queue[0], with a fraction
    this.playing = false;
    this.quiet = 0;
  }

  /** @param {Float32Array} sound */
  push(sound) {
    if (this.size > LONGEST_S * this.rate || !sound.length) return;
    this.queue.push(sound);
    this.size += sound.length;
  }

  /** The next sample at the context's own rate. @returns {number} */
  next() {
    const step = this.rate / sampleRate;
    if (!this.playing) {
      // A short remark at the end of a call is played too, though the buffer never fills.
      const start = START_S * this.rate;
      this.quiet = this.size ? this.quiet + step : 0;
      if (this.size < start && this.quiet < 2 * start) return 0;
      this.playing = true;
      this.quiet = 0;
    }
    const head = this.queue[0];
    if (!head) {
      this.playing = false;
      return 0;
    }
    const index = Math.floor(this.at);
    const now = head[index];
    const following = index + 1 < head.length ? head[index + 1] : this.queue[1]?.[0] ?? head[index];
    const sample = now + (following - now) * (this.at - index);
    this.at += step;
    while (this.queue.length && this.at >= this.queue[0].length) {
      this.at -= this.queue[0].length;
      this.size -= this.queue[0].length;
      this.queue.shift();
    }
    return sample;
  }
}

class PhonePlayer extends AudioWorkletProcessor {
  constructor() {
    super();
    this.sides = RATES.map((rate) => new Side(rate));
    this.peaks = RATES.map(() => 0);
    this.blocks = 0;
    this.port.onmessage = ({ data }) => {
      const number = new Uint8Array(data, 0, 1)[0];
      const side = this.sides[number];
      if (!side) return;
      if (data.byteLength === 1) side.empty();
      else side.push(samplesOf(number, data));
    };
  }

  /** @param {Float32Array[][]} _inputs @param {Float32Array[][]} outputs */
  process(_inputs, outputs) {
    const out = outputs[0][0];
    for (let i = 0; i < out.length; i++) {
      let sum = 0;
      for (let side = 0; side < this.sides.length; side++) {
        const sample = this.sides[side].next();
        this.peaks[side] = Math.max(this.peaks[side], Math.abs(sample));
        sum += sample;
      }
      out[i] = Math.max(-1, Math.min(1, sum));
    }
    this.blocks += 1;
    if (this.blocks >= REPORT_BLOCKS) {
      this.port.postMessage(this.peaks);
      this.blocks = 0;
      this.peaks = RATES.map(() => 0);
    }
    return true;
  }
}

registerProcessor("phone-player", PhonePlayer);
