"""The emulators of a test run are the real ones and answer where the fixtures say."""

from __future__ import annotations

import http.client

import pytest


@pytest.mark.emulator
@pytest.mark.parametrize("fixture", ["firestore_emulator", "pubsub_emulator"])
def test_an_emulator_answers_on_loopback(fixture: str, request: pytest.FixtureRequest) -> None:
    address: str = request.getfixturevalue(fixture)
    host, _, port = address.partition(":")
    assert host == "127.0.0.1"
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    try:
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
    finally:
        connection.close()
