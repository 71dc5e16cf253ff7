// Plays two sides of a phone call: mu-law 8 kHz in, the context's own rate out. A message is one byte for the side
// (0 caller, 1 assistant) and the sound; a message without sound empties that side (the assistant was interrupted).

const PHONE_RATE = 8000;
const START = 0.1 * PHONE_RATE; // jitter buffer: so much must be there before a side starts, or starts again
const LONGEST = 60 * PHONE_RATE; // the assistant's sound comes ahead of time; more than this is a fault and is dropped
const REPORT_FRAMES = 12; // blocks of 128 samples between two level reports, about 30 ms at 48 kHz

/** G.711 mu-law, all 256 codes. */
const TABLE = Float32Array.from({ length: 256 }, (_, code) => {
  const bits = ~code & 0xff;
  const magnitude = (((bits & 0x0f) << 3) + 0x84) << ((bits & 0x70) >> 4);
  return ((bits & 0x80 ? 0x84 - magnitude : magnitude - 0x84) / 32768);
});

class Side {
  constructor() {
    this.empty();
  }

  empty() {
    /** @type {Uint8Array[]} */
    this.queue = [];
    this.size = 0;
    this.at = 0; // position in queue[0], with a fraction
    this.playing = false;
    this.quiet = 0;
  }

  /** @param {Uint8Array} sound */
  push(sound) {
    if (this.size > LONGEST) return;
    this.queue.push(sound);
    this.size += sound.length;
  }

  /** @param {number} step input samples for one output sample @returns {number} */
  next(step) {
    if (!this.playing) {
      // A short remark at the end of a call is played too, though the buffer never fills.
      this.quiet = this.size ? this.quiet + step : 0;
      if (this.size < START && this.quiet < 2 * START) return 0;
      this.playing = true;
      this.quiet = 0;
    }
    const head = this.queue[0];
    if (!head) {
      this.playing = false;
      return 0;
    }
    const index = Math.floor(this.at);
    const now = TABLE[head[index]];
    const following = index + 1 < head.length ? head[index + 1] : this.queue[1]?.[0] ?? head[index];
    const sample = now + (TABLE[following] - now) * (this.at - index);
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
    this.sides = [new Side(), new Side()];
    this.peaks = [0, 0];
    this.blocks = 0;
    this.port.onmessage = ({ data }) => {
      const bytes = new Uint8Array(data);
      const side = this.sides[bytes[0]];
      if (!side) return;
      if (bytes.length === 1) side.empty();
      else side.push(bytes.subarray(1));
    };
  }

  /** @param {Float32Array[][]} _inputs @param {Float32Array[][]} outputs */
  process(_inputs, outputs) {
    const out = outputs[0][0];
    const step = PHONE_RATE / sampleRate;
    for (let i = 0; i < out.length; i++) {
      let sum = 0;
      for (let side = 0; side < 2; side++) {
        const sample = this.sides[side].next(step);
        this.peaks[side] = Math.max(this.peaks[side], Math.abs(sample));
        sum += sample;
      }
      out[i] = Math.max(-1, Math.min(1, sum));
    }
    this.blocks += 1;
    if (this.blocks >= REPORT_FRAMES) {
      this.port.postMessage(this.peaks);
      this.blocks = 0;
      this.peaks = [0, 0];
    }
    return true;
  }
}

registerProcessor("phone-player", PhonePlayer);
