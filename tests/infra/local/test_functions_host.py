"""The functions on one port: what a browser of this machine cannot reach under another name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from werkzeug.test import Client

from infra.local.functions_host import at_home


def app(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("204 No Content", [])
    return []


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1:8081", 204),
        ("localhost", 204),
        ("[::1]:8081", 204),
        ("calls.example.com", 204),
        ("evil.example.com:8081", 403),
        ("127.0.0.1.evil.example.com", 403),
        ("[", 403),
    ],
)
def test_the_applier_answers_to_the_names_of_this_machine_only(host: str, code: int) -> None:
    client = Client(at_home(app, "https://calls.example.com"))
    assert client.get("/", headers={"Host": host}).status_code == code


def test_without_a_public_url_no_other_name_is_ours() -> None:
    assert Client(at_home(app)).get("/", headers={"Host": "calls.example.com"}).status_code == 403
