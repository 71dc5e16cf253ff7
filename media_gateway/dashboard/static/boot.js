// Runs before the modules: sets the theme without a flash, asks the server what the first view will need, and says what
// to do when the modules cannot be loaded.
(function () {
  try {
    const theme = localStorage.getItem("callboard.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch (_) {
    // Storage may be forbidden; the system's theme is used then.
  }
  try {
    const token = sessionStorage.getItem("callboard.token");
    if (token && !new URL(location.href).searchParams.has("login")) {
      /** @param {string} path @param {string} method */
      const ask = (path, method) =>
        fetch(path, { method, headers: { accept: "application/json", authorization: `Bearer ${token}` } }).catch(() => null);
      // While the modules come; `api.js` takes each answer once.
      const answers = { "GET /api/v1/about": ask("/api/v1/about", "GET"), "GET /api/v1/calls": ask("/api/v1/calls", "GET"),
        "POST /ws-ticket": ask("/ws-ticket", "POST") };
      Object.assign(window, { __early: { token, until: Date.now() + 20000, answers } });
    }
  } catch (_) {
    // The modules ask for themselves.
  }
  /** @param {Event} event */
  function missing(event) {
    const target = event.target;
    if (!(target instanceof HTMLScriptElement) || target.type !== "module") return;
    const text = document.getElementById("boot-text");
    if (!text) return;
    const command = document.createElement("code");
    command.textContent = "python -m media_gateway.dashboard.frontend";
    text.setAttribute("role", "alert");
    text.replaceChildren(
      "The page's browser libraries are not installed on the server. Run ",
      command,
      " there, then reload this page.",
    );
  }
  // A module whose import fails fires "error" on its script element; it does not bubble, so it is captured.
  window.addEventListener("error", missing, true);
})();
