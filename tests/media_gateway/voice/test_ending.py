"""Who completes a call: the owner of its media, and nobody who was the owner once."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_gateway.voice.ending import finish
from realtime.call import Call, Status
from tests.media_gateway.voice.stage import CALL, Stage

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("ending", ["lost", "caller", "hangup"])
async def test_one_who_is_no_longer_the_owner_leaves_quietly(tmp_path: Path, ending: str) -> None:
    stage = Stage(tmp_path)
    parts, journal = stage.parts(), stage.journal
    try:
        await journal.open(Call(call_id=CALL))
        former = (await journal.own(CALL, "here")).owner_term
        owner = (await journal.own(CALL, "there")).owner_term
        before = await journal.find(CALL)
        await finish(parts, CALL, ending, former, None, 0)  # no Fenced: it was known before anything was written
        assert await journal.find(CALL) == before
        await finish(parts, CALL, ending, owner, None, 0)
        after = await journal.find(CALL)
        assert after is not None
        assert after.status is Status.COMPLETED
    finally:
        await stage.store.aclose()
