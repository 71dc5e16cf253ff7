import { h } from "preact";
import { useEffect, useState } from "preact/hooks";
import htm from "htm";

/** Templates without a build step. */
export const html = htm.bind(h);

/**
 * A component whose module is fetched when it is first shown; until then `waiting` stands in its place.
 * @param {() => Promise<any>} load the module @param {string} name of the component in it
 * @param {any} [waiting] @returns {any}
 */
export function lazy(load, name, waiting = null) {
  /** @type {any} */
  let found; // null: it could not be loaded
  return (/** @type {any} */ props) => {
    const [Part, setPart] = useState(() => found);
    useEffect(() => {
      if (!Part) load().then((module) => setPart(() => (found = module[name])), () => setPart(null));
    }, []);
    if (Part === null) return html`<p class="error lazy-failed" role="alert">A part of this page could not be loaded from the server. Load the page again.</p>`;
    return Part ? html`<${Part} ...${props} />` : waiting;
  };
}
