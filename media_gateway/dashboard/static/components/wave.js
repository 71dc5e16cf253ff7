import { useEffect, useRef } from "preact/hooks";
import { effect } from "@preact/signals";
import { html } from "../html.js";
import { levels } from "../audio.js";

const COLUMNS = 96; // of about 30 ms each
const STEP = 3;
const HEIGHT = 32;

/** What was heard in the last three seconds: the caller above the line, the assistant below. */
export function Wave() {
  const place = /** @type {{current: HTMLCanvasElement | null}} */ (useRef(null));
  useEffect(() => {
    const canvas = place.current;
    const pen = canvas?.getContext("2d");
    if (!canvas || !pen) return undefined;
    const scale = devicePixelRatio || 1;
    canvas.width = COLUMNS * STEP * scale;
    canvas.height = HEIGHT * scale;
    pen.scale(scale, scale);
    /** @type {number[][]} */
    const past = [];
    return effect(() => {
      past.push(levels.value.slice(0, 2));
      if (past.length > COLUMNS) past.shift();
      const style = getComputedStyle(canvas);
      pen.clearRect(0, 0, COLUMNS * STEP, HEIGHT);
      past.forEach(([caller, assistant], at) => {
        const x = (COLUMNS - past.length + at) * STEP;
        const [up, down] = [caller, assistant].map((peak) => Math.max(0.5, Math.sqrt(peak) * (HEIGHT / 2 - 1)));
        pen.fillStyle = style.color;
        pen.fillRect(x, HEIGHT / 2 - up, STEP - 1, up);
        pen.fillStyle = style.caretColor; // resolved for this theme, which a variable is not
        pen.fillRect(x, HEIGHT / 2 + 0.5, STEP - 1, down);
      });
    });
  }, []);
  return html`<canvas class="wave" ref=${place} aria-hidden="true"></canvas>`;
}
