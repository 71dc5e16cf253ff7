"""The smoke test against a whole system on this machine: it passes, and each thing that is wrong is found."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from infra.gcloud.smoke import Finding, Target, smoke
from tests.e2e.system import running

pytestmark = [pytest.mark.call, pytest.mark.timeout(180)]
PUBLIC = "https://calls.example.com"


def test_a_whole_system_answers_under_a_name_that_is_not_its_own(tmp_path: Path) -> None:
    """As the tag of a revision: signed for PUBLIC_BASE_URL, sent to another address."""

    async def all_of_it() -> tuple[list[Finding], list[Finding]]:
        secrets = {
            "PUBLIC_BASE_URL": PUBLIC,
            "TWILIO_AUTH_TOKEN": "a-twilio-auth-token",
            "JWT_SECRET": "k1:" + "s" * 40,
            "ADMIN_USERNAME": "admin",
            "ADMIN_PASSWORD": "a-password-of-some-length",
        }
        async with running(tmp_path, more=secrets) as here:
            target = Target(
                phone=here.system.url,
                desk=here.system.url,
                public=PUBLIC,
                auth_token=secrets["TWILIO_AUTH_TOKEN"],
                username="admin",
                password=secrets["ADMIN_PASSWORD"],
                others=here.system.url,
            )
            good = await smoke(target)
            bad = await smoke(replace(target, auth_token="another", password="wrong"), call=False)
            return good, bad

    good, bad = asyncio.run(all_of_it())
    assert [str(one) for one in good if not one.ok] == []
    assert [one.what for one in good][-2:] == ["a simulated call", "neighbouring revision"]
    assert {one.what: one.ok for one in bad} == {
        "alive": True,
        "signed webhook": False,
        "bad signature": True,
        "media socket": False,
        "/ws/calls/transcriptions": False,
        "/ws/events": False,
    }
    assert "TWILIO_AUTH_TOKEN or PUBLIC_BASE_URL" in str(bad[1])


def test_nobody_is_there() -> None:
    nowhere = "http://127.0.0.1:9"
    target = Target(phone=nowhere, desk=nowhere, public=nowhere, auth_token="a", username="b", password="c")
    found = asyncio.run(smoke(target))
    assert not any(one.ok for one in found)
    assert all(one.detail for one in found)
