// What the server is asked for, and the states it can be in: on its way, failed, there.
import { useEffect, useState } from "preact/hooks";
import { html } from "../html.js";
import { request } from "../api.js";

/** @typedef {{value: any, error: string, look: () => Promise<void>}} Asked */

/** @param {string} path @param {number} [every] ms after which it is asked again @returns {Asked} */
export function useLoaded(path, every = 0) {
  const [value, setValue] = useState(/** @type {any} */ (null));
  const [error, setError] = useState("");
  const look = () => request(path).then((found) => (setValue(found), setError("")), (problem) => setError(problem.message));
  useEffect(() => {
    look();
    const timer = every ? setInterval(look, every) : 0;
    return () => clearInterval(timer);
  }, [path]);
  return { value, error, look };
}

/** What was there stays, under the word that it may be old. @param {{of: Asked, children?: any}} props */
export function Loaded({ of, children }) {
  return html`
    ${of.error && html`<p class="error" role="alert">${of.error} <button class="button small-button" type="button" onClick=${of.look}>Try again</button></p>`}
    ${of.value ? children() : !of.error && html`<p class="quiet" role="status">Loading …</p>`}`;
}
