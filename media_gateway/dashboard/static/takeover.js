// The supervisor's microphone in a call; see `microphone.js` for the sound itself.

/** @param {string} _callId @returns {Promise<void>} */
export async function speak(_callId) {
  throw new Error("Taking over with the browser's microphone is not possible yet. Use your own phone.");
}
