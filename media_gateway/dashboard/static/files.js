// Files of the server, which gives them only to whoever is signed in: a plain link would carry no token.
import { ApiError, token } from "./api.js";

const PATIENCE_MS = 60000; // the sound of a long call is tens of megabytes

/** @typedef {{blob: Blob, name: string}} File */

/** @param {string} path @returns {Promise<File>} Raises ApiError */
export async function fetchFile(path) {
  let response;
  let blob;
  try {
    response = await fetch(path, { headers: { authorization: `Bearer ${token.value}` }, signal: AbortSignal.timeout(PATIENCE_MS) });
    blob = await response.blob();
  } catch {
    throw new ApiError(0, "The server does not answer.", "Is it still running?");
  }
  if (response.ok) return { blob, name: named(response.headers.get("content-disposition")) };
  const error = await blob.text().then(JSON.parse).then((answer) => answer.error, () => null);
  throw new ApiError(response.status, error?.message ?? `The server answered ${response.status}.`, error?.fix ?? "");
}

/** @param {string | null} disposition */
const named = (disposition) => /filename="([^"]+)"/.exec(disposition ?? "")?.[1] ?? "call";

/** Give a file to the person, as the browser saves files. @param {File} file */
export function save({ blob, name }) {
  const address = URL.createObjectURL(blob);
  const link = Object.assign(document.createElement("a"), { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 1000); // the browser has begun by then
}
