// The microphone: whatever rate the context has in, frames of 20 ms at 16 kHz (signed 16 bit) and their peak out.

const RATE = 16000;
const FRAME = 320;
const TAPS = 33;
const CUT_HZ = 7200;

/** A low pass, so that what 16 kHz cannot hold does not come back as an alias. */
const filter = Float32Array.from({ length: TAPS }, (_, at) => {
  const n = at - (TAPS - 1) / 2;
  const cut = (2 * CUT_HZ) / sampleRate;
  const ideal = n === 0 ? cut : Math.sin(Math.PI * cut * n) / (Math.PI * n);
  return ideal * (0.54 + 0.46 * Math.cos((2 * Math.PI * n) / (TAPS - 1)));
});

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.past = new Float32Array(TAPS - 1);
    this.at = 0; // where the next sample is taken, in input samples from the start of this block
    this.last = 0;
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.peak = 0;
  }

  /** @param {Float32Array} block @returns {Float32Array} */
  lowPass(block) {
    if (sampleRate <= RATE) return block;
    const input = new Float32Array(this.past.length + block.length);
    input.set(this.past);
    input.set(block, this.past.length);
    this.past = input.slice(-this.past.length);
    return Float32Array.from(block, (_, at) => {
      let sum = 0;
      for (let tap = 0; tap < TAPS; tap++) sum += filter[tap] * input[at + tap];
      return sum;
    });
  }

  /** @param {number} sample */
  put(sample) {
    const value = Math.max(-1, Math.min(1, sample));
    this.peak = Math.max(this.peak, Math.abs(value));
    this.frame[this.filled] = Math.round(value * 32767);
    this.filled += 1;
    if (this.filled < FRAME) return;
    this.port.postMessage({ pcm: this.frame.buffer, peak: this.peak }, [this.frame.buffer]);
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.peak = 0;
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const block = inputs[0]?.[0];
    if (!block) return true;
    const smooth = this.lowPass(block);
    const step = sampleRate / RATE;
    for (; this.at < smooth.length; this.at += step) {
      const index = Math.floor(this.at);
      const before = index === 0 ? this.last : smooth[index - 1];
      this.put(before + (smooth[index] - before) * (this.at - index));
    }
    this.at -= smooth.length;
    this.last = smooth[smooth.length - 1];
    return true;
  }
}

registerProcessor("microphone", Microphone);
