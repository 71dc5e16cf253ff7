"""One Chromium and one server for a module; a stub and pages of its own for a test.

Playwright's synchronous interface keeps an event loop running in its thread for as long as it lives: beyond the module
(a session, say) it would keep every asynchronous test of the same worker from running its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from media_gateway.dashboard import frontend
from tests.browser.page import CHROMIUM, Dashboard, chromium
from tests.browser.stub import Host, Stub, hosting
from tests.conftest import require


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    require(CHROMIUM.exists(), "Chromium", "apt-get install -y --no-install-recommends chromium")
    frontend.ensure(dev=True)
    with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def axe_source() -> Path:
    frontend.ensure(dev=True)
    return frontend.HERE / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with hosting() as running:
        yield running


@pytest.fixture
def stub(host: Host) -> Stub:
    return host.take()


@pytest.fixture
def dashboard(browser: Browser, stub: Stub) -> Iterator[Dashboard]:
    with Dashboard.opened(browser, stub.address) as opened:
        yield opened


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go: $CALLBOARD_PICTURES, else thrown away."""
    folder = Path(os.environ.get("CALLBOARD_PICTURES") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
