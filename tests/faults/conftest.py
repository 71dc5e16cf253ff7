"""Gateways and emulators are dear: a module starts its own once, and its tests use calls of their own names."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """For the whole module, so that what it shares lives on the loop of its tests."""
    return "asyncio"
