// Which page is shown is in the address behind the #: `#/live/CA123`, `#/history?q=oil`. Nothing else knows the form.
import { signal } from "@preact/signals";

/** @typedef {{page: string, rest: string[], query: URLSearchParams}} Route */

/** @param {string} hash @returns {Route} */
export function parse(hash) {
  const old = /^#call\/(.+)$/.exec(hash); // links that were sent to colleagues before there were pages
  const [path, query = ""] = (old ? `/live/${old[1]}` : hash.replace(/^#/, "")).split("?");
  const [page = "", ...rest] = path.split("/").filter(Boolean).map(decoded);
  return { page: page || "live", rest, query: new URLSearchParams(query) };
}

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a page: `address("live", id)`. @param {string} page @param {...string} rest */
export function address(page, ...rest) {
  const path = [page, ...rest].map(encodeURIComponent).join("/");
  return path === "live" ? "#/" : `#/${path}`;
}

export const route = signal(parse(location.hash));

/**
 * Show another place. `replace`: without a step in the browser's history.
 * @param {string} to what `address` gave, with `?query` if need be @param {{replace?: boolean}} [options]
 */
export function go(to, { replace = false } = {}) {
  const bare = to === "#/" ? location.pathname : to;
  if (replace) history.replaceState(null, "", bare);
  else history.pushState(null, "", bare);
  route.value = parse(to);
}

/**
 * An address with a query; what is empty is left out.
 * @param {string} to what `address` gave @param {Record<string, string>} query
 */
export function withQuery(to, query) {
  const text = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
  return text ? `${to}?${text}` : to;
}

const moved = () => (route.value = parse(location.hash));
window.addEventListener("hashchange", moved);
window.addEventListener("popstate", moved);
