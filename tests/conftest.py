"""What every test shares: asyncio as the backend, `--long`, and the rule that a skip must say how to mend it."""

from __future__ import annotations

import os

import pytest

from tests.emulators import firestore_emulator, pubsub_emulator

__all__ = ["firestore_emulator", "pubsub_emulator"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long tests too")
    parser.addoption("--yes", action="store_true", help="tests/e2e/test_deployment.py may ring TEST_PHONE_NUMBER")
    parser.addoption("--deployed", action="store_true", help="its tests start no system where no deployment is named")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="long: run `python3 run.py test --long`"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def require(found: object, what: str, remedy: str) -> None:
    """Skip a test whose real part is missing here, with the command that would bring it; in CI that is a failure."""
    if found:
        return
    message = f"{what} is not on this machine: {remedy}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
