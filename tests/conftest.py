"""What every test shares: asyncio as the backend, `--long`, and the rule that a skip must say how to mend it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.emulators import firestore_emulator, pubsub_emulator
from tests.lanes import place, scheduler
from tests.loops import BACKEND

__all__ = ["firestore_emulator", "pubsub_emulator"]


settings.register_profile("callboard", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("callboard")
"""No test fails because the machine was busy: how long an example takes is for the benchmarks."""

SLOW = (
    "deploy/",
    "faults/",
    "infra/cli/",
    "media_gateway/providers/test_ears_worker.py",
    "media_gateway/providers/test_human_speech.py",
    "test_launcher.py",
)
"""Under tests/: what starts processes or decodes minutes of speech."""
FAST_LEAVES_OUT = ("call", "browser", "emulator", "slow")
NICE = 10


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long tests too")
    parser.addoption("--fast", action="store_true", help="leave out calls, Chromium, emulators and what is slow")
    parser.addoption("--yes", action="store_true", help="tests/e2e/test_deployment.py may ring TEST_PHONE_NUMBER")
    parser.addoption("--deployed", action="store_true", help="its tests start no system where no deployment is named")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if str(item.path.relative_to(here)).startswith(SLOW):
            item.add_marker(pytest.mark.slow)
    if config.getoption("--fast"):
        left_out = [item for item in items if any(item.get_closest_marker(name) for name in FAST_LEAVES_OUT)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: place(item.nodeid))
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="long: run `python3 run.py test --long`"))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    return scheduler(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Who is not on the telephone lets those go first who are: a call in real time must get the processor in time."""
    if os.environ.get("PYTEST_XDIST_WORKER") and item.get_closest_marker("call") is None and hasattr(os, "nice"):
        os.nice(max(0, NICE - os.nice(0)))


@pytest.fixture
def anyio_backend() -> tuple[str, Mapping[str, object]]:
    return BACKEND


def require(found: object, what: str, remedy: str) -> None:
    """Skip a test whose real part is missing here, with the command that would bring it; in CI that is a failure."""
    if found:
        return
    message = f"{what} is not on this machine: {remedy}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
