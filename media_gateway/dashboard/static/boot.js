// Runs before the modules: sets the theme without a flash, and says what to do when the modules cannot be loaded.
(function () {
  try {
    const theme = localStorage.getItem("callboard.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch (_) {
    // Storage may be forbidden; the system's theme is used then.
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
