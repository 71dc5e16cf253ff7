"""Only our bus may push to the applier."""

from __future__ import annotations

from pathlib import Path

import pytest

from realtime.call import Call, Status
from tests.functions.apps import app_of
from tests.functions.test_apply_call_event import found, opened, push, status

TOKEN = "a-token-of-our-own"


@pytest.mark.parametrize(
    ("query", "header", "code"),
    [
        ("", "", 401),
        ("", "Basic abc", 401),
        ("?token=", "Bearer ", 401),
        ("?token=wrong", "", 403),
        ("?token=%C3%A4", "", 403),
        ("", "Bearer wrong", 403),
        ("", f"Basic {TOKEN}", 401),
        (f"?token={TOKEN}", "", 204),
        ("", f"Bearer {TOKEN}", 204),
        ("", f"bearer {TOKEN}", 204),
        (f"?token={TOKEN}", "Bearer of-somebody-else", 204),
    ],
)
def test_a_push_without_our_token_changes_nothing(
    embedded: Path, monkeypatch: pytest.MonkeyPatch, query: str, header: str, code: int
) -> None:
    monkeypatch.setenv("CALLBOARD_PUSH_TOKEN", TOKEN)
    opened(embedded, Call(call_id="CA1", call_sid="CA1"))
    headers = {"Authorization": header} if header else {}
    answer = app_of("apply_call_event").test_client().post(f"/{query}", json=push(status("ringing")), headers=headers)
    assert answer.status_code == code
    assert found(embedded).status is (Status.RINGING if code == 204 else Status.INITIATED)
