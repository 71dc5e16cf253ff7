"""The dashboard as a person handles it; also for end-to-end tests against the real gateway."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
_UNWANTED = (
    "WebUIOmniboxPopup", "WebUIOmniboxAimPopup",
    "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "PaintHolding", "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints", "NetworkTimeServiceQuerying", "AimEnabled",
    "PreconnectToSearch",
)  # fmt: skip
"""Nobody sees an address bar here, and what draws it anew for each page takes two thirds of what Chromium takes: the
first two. The others are those that playwright leaves out; its own list does not count beside this one."""
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", f"--disable-features={','.join(_UNWANTED)}",
]  # fmt: skip
_WATCH = """
window.__callboard = { seen: [] };
window.__violations = [];
document.addEventListener('securitypolicyviolation',
  (event) => window.__violations.push(event.violatedDirective + ' ' + event.blockedURI));
"""


MICROPHONE = (
    "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
"""A microphone that beeps once a second, and permission to use it."""


_PR_CAPBSET_DROP, _CAP_SYS_NICE = 24, 23


def _stay_in_line() -> None:
    """Where root starts it, Chromium takes a place before all others (nice -8), also before calls in real time that
    other tests are in, and however nice its test is. Without the capability it stays where it was started; capabilities
    of a root's child end with the bounding set (capabilities(7))."""
    if sys.platform == "linux" and os.geteuid() == 0:
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_SYS_NICE, 0, 0, 0)


@contextlib.contextmanager
def chromium(*more: str) -> Iterator[Browser]:
    """Debian's Chromium with a fresh profile."""
    _stay_in_line()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=[*ARGUMENTS, *more])
        try:
            yield browser
        finally:
            browser.close()


class Dashboard:
    """One open page."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.console: list[str] = []
        self.expected: tuple[str, ...] = ()
        """Parts of console errors that the test itself brings about (Chromium logs every refused request)."""
        page.set_default_timeout(10_000)
        page.add_init_script(_WATCH)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.console.append(f"uncaught: {error}"))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.console.append(f"{message.type}: {message.text} {message.location.get('url', '')}")

    @classmethod
    @contextlib.contextmanager
    def opened(cls, browser: Browser, address: str, **context: Any) -> Iterator[Dashboard]:
        """A page of its own; on the way out nothing may have been complained about."""
        place = browser.new_context(**({"viewport": {"width": 1360, "height": 860}} | context))
        try:
            dashboard = cls(place.new_page(), address)
            yield dashboard
            dashboard.check_clean()
        finally:
            place.close()

    def login(self, code: str) -> None:
        """By the one-time link; returns when the page is live."""
        self.page.goto(f"{self.address}/?login={code}")
        self.wait_live()

    def sign_in(self, token: str) -> None:
        """With a token, before the page is opened."""
        self.page.add_init_script(f"sessionStorage.setItem('callboard.token', {token!r})")

    def wait_live(self) -> None:
        """Until the events socket stands."""
        expect(self.page.locator(".link-state")).to_have_text("Live")

    def start_demo_call(self) -> None:
        """By the big button."""
        self.page.get_by_role("button", name="Start a demo call").click()
        expect(self.page.get_by_role("log", name="What was said")).to_be_attached()

    def say(self, text: str) -> None:
        """Type as the caller into whichever place there is, and send."""
        self.page.locator(".composer input").fill(text)
        self.page.get_by_role("button", name="Send").click()

    def bubbles(self, speaker: str = "") -> Locator:
        """Solid bubbles in the log: `user`, `assistant`, or both."""
        return self.page.locator(f".log .bubble{'.' + speaker if speaker else ''}")

    def ghosts(self) -> Locator:
        """What is being said now."""
        return self.page.locator(".now .bubble")

    def timeline(self) -> list[str]:
        """The status messages and the completion, as the page lists them."""
        marks = self.page.locator(".timeline li")
        return [str(mark.get_attribute("data-event")) for mark in marks.all()]

    def events_seen(self) -> list[tuple[str, int, str]]:
        """(session_id, seq, event) of every durable event the page took, in its order."""
        return [(call, seq, event) for call, seq, event in self.page.evaluate("window.__callboard.seen")]

    def check_clean(self) -> None:
        """No console error, no breach of the content security policy."""
        complaints = [line for line in self.console if not any(part in line for part in self.expected)]
        assert complaints == []
        assert self.page.evaluate("window.__violations") == []

    def axe(self, source: Path) -> list[str]:
        """Accessibility violations found by axe-core in the page as it is now."""
        self.page.evaluate(source.read_text())
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{rule['id']}: {node['target']} {node['failureSummary']}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]
