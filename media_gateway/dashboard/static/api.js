// The gateway's HTTP routes, and the login they need.
import { computed, signal } from "@preact/signals";

const KEY = "callboard.token";

/** An answer that is not 2xx, in the server's own words. */
export class ApiError extends Error {
  /** @param {number} status @param {string} message @param {string} fix */
  constructor(status, message, fix) {
    super(fix ? `${message} ${fix}` : message);
    this.status = status;
  }
}

/** The access token; null shows the login. Kept for this tab only, so a reload stays signed in. */
export const token = signal(sessionStorage.getItem(KEY));
/** Shows the login over the page, so that a session goes on without leaving it. */
export const askAgain = signal(false);
/** Why the login is shown, when there is more to say than "sign in". */
export const loginNotice = signal("");

/** @typedef {{user: string, role: "viewer" | "operator" | "admin", expires: number, kept: boolean}} Me `expires`: ms
 * since epoch; `kept`: a user of the store, who has a password to change */

/** Who is signed in, as the token says; the server decides by itself. Null when nobody is. */
export const me = computed(() => (token.value ? readToken(token.value) : null));

/** @param {string} text @returns {Me} */
function readToken(text) {
  try {
    const body = text.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(body), (char) => char.charCodeAt(0))));
    return { user: String(claims.sub ?? ""), role: claims.role ?? "viewer", expires: Number(claims.exp ?? 0) * 1000, kept: String(claims.prf ?? "").startsWith("user:") };
  } catch {
    return { user: "", role: "viewer", expires: 0, kept: false };
  }
}

const ROLES = ["viewer", "operator", "admin"];
/** Does the one who is signed in hold this role? @param {"viewer" | "operator" | "admin"} role */
export const may = (role) => ROLES.indexOf(me.value?.role ?? "viewer") >= ROLES.indexOf(role);

/** @param {string | null} value */
export function setToken(value) {
  token.value = value;
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

/**
 * What `boot.js` has asked for already, once; null when it has not, or the answer is of no use any more.
 * @param {string} what method and path @returns {Promise<Response | null>}
 */
async function early(what) {
  const asked = /** @type {any} */ (window).__early;
  const answer = asked?.answers[what];
  if (!answer) return null;
  delete asked.answers[what];
  return asked.token === token.value && Date.now() < asked.until ? answer : null;
}

/**
 * @param {string} path
 * @param {{method?: string, body?: any, anonymous?: boolean, headers?: Record<string, string>, patience?: number}} [options]
 *   `patience`: ms until the server counts as silent
 * @returns {Promise<any>}
 */
export async function request(path, { method = "GET", body, anonymous = false, headers: more = {}, patience = 15000 } = {}) {
  /** @type {Record<string, string>} */
  const headers = { accept: "application/json", ...more };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (!anonymous && token.value) headers.authorization = `Bearer ${token.value}`;
  let response;
  try {
    response = (body === undefined && !anonymous && (await early(`${method} ${path}`))) || await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(patience),
    });
  } catch {
    throw new ApiError(0, "The server does not answer.", "Is it still running?");
  }
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  if (response.status === 401 && !anonymous && token.value) {
    setToken(null);
    loginNotice.value = "Your session has ended. Please sign in again.";
  }
  const error = answer?.error ?? {};
  throw new ApiError(response.status, error.message ?? `The server answered ${response.status}.`, error.fix ?? "");
}

/**
 * @param {string} username @param {string} password
 * @returns {Promise<string>} "" when signed in; else a token that is good for choosing a password, and for nothing more
 */
export async function login(username, password) {
  const answer = await request("/auth/login", { method: "POST", body: { username, password }, anonymous: true });
  if (answer.one_time) return answer.access_token;
  setToken(answer.access_token);
  return "";
}

/**
 * One's own password. Every other session of this user ends, this one goes on.
 * @param {string} current @param {string} chosen @param {string} [bearer] another token than that of the session
 */
export async function changePassword(current, chosen, bearer = token.value ?? "") {
  const headers = { authorization: `Bearer ${bearer}` };
  const answer = await request("/auth/password", { method: "POST", body: { current, new: chosen }, headers, anonymous: true });
  setToken(answer.access_token);
}

/** Exchange the one-time code of `/?login=<code>` and take it out of the address. Does nothing without one. */
export async function loginFromAddress() {
  const address = new URL(location.href);
  const code = address.searchParams.get("login");
  if (!code) return;
  address.searchParams.delete("login");
  history.replaceState(null, "", address);
  try {
    const answer = await request("/auth/demo", { method: "POST", body: { code }, anonymous: true });
    setToken(answer.access_token);
  } catch (error) {
    if (token.value) return; // A reload of a used link in a tab that is signed in already.
    loginNotice.value = error instanceof ApiError && error.status !== 0
      ? "This one-time link was used before or is too old. Sign in below, or restart the server for a new link."
      : String(error instanceof Error ? error.message : error);
  }
}

/** @returns {Promise<string>} a ticket for one socket */
export async function ticket() {
  return (await request("/ws-ticket", { method: "POST" })).ticket;
}

/** @param {string} path @returns {string} */
export function socketAddress(path) {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
}

export const about = () => request("/api/v1/about");
export const listCalls = () => request("/api/v1/calls");
/** @param {string} id @param {number} after */
export const callEvents = (id, after) => request(`/api/v1/calls/${encodeURIComponent(id)}/events?after=${after}`);
/** @param {{scenario?: string | null, text?: string}} body */
export const startDemoCall = (body) => request("/api/v1/demo/call", { method: "POST", body });
/** @param {string} id @param {string} text */
export const sayInDemoCall = (id, text) =>
  request("/api/v1/demo/say", { method: "POST", body: { call_id: id, text } });
