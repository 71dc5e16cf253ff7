import { useEffect, useRef } from "preact/hooks";
import { isLost, paused, refocusSoon } from "../focus.js";
import { html } from "../html.js";

/**
 * A question over the page. Escape and "Cancel" close it; the browser keeps the focus inside and gives it back.
 * @param {{title: string, confirm: string, onConfirm: (form: FormData) => void, onClose: () => void, danger?: boolean,
 *   busy?: boolean, error?: string, children?: any}} props
 */
export function Dialog({ title, confirm, onConfirm, onClose, danger = false, busy = false, error = "", children }) {
  const place = /** @type {{current: HTMLDialogElement | null}} */ (useRef(null));
  useEffect(() => {
    const asked = document.activeElement;
    const dialog = place.current;
    dialog?.showModal();
    return () => {
      // The browser has given the focus back by now if it was closed; who has gone on since is not called back.
      if (asked instanceof HTMLElement && (isLost() || dialog?.contains(document.activeElement))) asked.focus();
      if (isLost()) refocusSoon(""); // what asked is gone
    };
  }, []);
  /** @param {SubmitEvent} event */
  const submit = (event) => {
    event.preventDefault();
    onConfirm(new FormData(/** @type {HTMLFormElement} */ (event.target)));
  };
  return html`
    <dialog class="dialog" ref=${place} onClose=${onClose} aria-labelledby="dialog-title">
      <form onSubmit=${submit}>
        <h2 id="dialog-title">${title}</h2>
        ${children}
        ${error && html`<p class="error" role="alert">${error}</p>`}
        <div class="dialog-foot">
          <button class="button" type="button" onClick=${() => place.current?.close()}>Cancel</button>
          <button class=${`button ${danger ? "danger" : "primary"}`} type="submit" ...${paused(busy)}>${confirm}</button>
        </div>
      </form>
    </dialog>`;
}
