// Where the focus goes when what had it is gone, and how a button keeps it while it works.

/** @param {Event} event */
const refuse = (event) => {
  event.preventDefault();
  event.stopImmediatePropagation();
};

/**
 * Properties of a button that may not be pressed just now. `disabled` would let go of the focus, and whoever has no
 * mouse would begin at the top of the page. @param {boolean} busy
 */
export const paused = (busy) => (busy ? { "aria-disabled": "true", onClickCapture: refuse } : {});

/** Nothing has the focus: what had it is not there any more. */
export const isLost = () => !document.activeElement || document.activeElement === document.body;

/**
 * To what is shown now, if the focus was lost: to the call in the list that one came from, else to the heading.
 * @param {string} [from] the call that was open before
 */
export function refocus(from = "") {
  if (!isLost()) return;
  const place = from ? document.querySelector(`main [data-call="${CSS.escape(from)}"]`) : null;
  const target = /** @type {HTMLElement | null} */ (place ?? document.querySelector("main h1"));
  if (!target) return;
  if (!place) target.tabIndex = -1;
  target.focus();
}

const FRAMES = 60; // a page that is fetched first, a list that is read

/** The same once there is something, for a page that was just chosen. @param {string} from @param {number} [frames] */
export function refocusSoon(from, frames = FRAMES) {
  requestAnimationFrame(() => {
    refocus(from);
    if (isLost() && frames > 0) refocusSoon(from, frames - 1);
  });
}
