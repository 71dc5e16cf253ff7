// Something that the server is asked for: on its way, there, or why not.
import { useEffect, useRef, useState } from "preact/hooks";

/** @template T @typedef {{value: T | null, loading: boolean, error: string, again: () => void, take: (value: T) => void}} Resource */

/** @param {unknown} problem */
export const wordsOf = (problem) => (problem instanceof Error ? problem.message : String(problem));

/**
 * What `load` gives, asked for again whenever `key` changes. Of a key that is not wanted any more nothing is taken.
 * @template T
 * @param {string} key @param {(take: (value: T) => void, wanted: () => boolean) => Promise<void>} load calls `take` as
 *   often as it has news, while it is `wanted`
 * @returns {Resource<T>}
 */
export function useResource(key, load) {
  const [state, setState] = useState({ key: "", value: /** @type {T | null} */ (null), loading: true, error: "" });
  const [turn, setTurn] = useState(0);
  const newest = useRef(0);
  useEffect(() => {
    const mine = (newest.current += 1);
    const wanted = () => newest.current === mine;
    setState((old) => ({ key, value: old.key === key ? old.value : null, loading: true, error: "" }));
    load((value) => wanted() && setState({ key, value, loading: true, error: "" }), wanted).then(
      () => wanted() && setState((old) => ({ ...old, loading: false })),
      (problem) => wanted() && setState((old) => ({ ...old, loading: false, error: wordsOf(problem) })),
    );
    return () => void (newest.current += 1);
  }, [key, turn]);
  const current = state.key === key;
  return {
    value: current ? state.value : null, loading: current ? state.loading : true, error: current ? state.error : "",
    again: () => setTurn((old) => old + 1),
    take: (value) => setState((old) => ({ ...old, value })),
  };
}
