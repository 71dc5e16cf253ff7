// News comes in as fast as it likes; the page changes once a frame.

const HIDDEN_MS = 250; // a hidden tab is given no frames
const MOST = 20000;

/**
 * @template T
 * @param {(items: T[]) => void} work called with all that came since the last frame
 * @returns {{push: (item: T) => void, flush: () => void}}
 */
export function perFrame(work) {
  /** @type {T[]} */
  let waiting = [];
  let asked = false;

  function flush() {
    asked = false;
    const items = waiting;
    waiting = [];
    if (items.length) work(items);
  }

  return {
    push(item) {
      waiting.push(item);
      if (waiting.length >= MOST) flush();
      if (asked) return;
      asked = true;
      if (document.hidden) setTimeout(flush, HIDDEN_MS);
      else requestAnimationFrame(flush);
    },
    flush,
  };
}
