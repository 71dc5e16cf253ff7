"""Gateways and emulators are dear: a module starts its own once, and its tests use calls of their own names."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.loops import BACKEND


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, Mapping[str, object]]:
    """For the whole module, so that what it shares lives on the loop of its tests."""
    return BACKEND
