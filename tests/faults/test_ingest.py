"""F6 to F9, F11: news that comes twice, at once and out of order; functions that die at the worst moment; a bus that
is away. In the journal, each thing once."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from functions import runtime
from infra.simulators.elevenlabs_api import ElevenLabsApi
from realtime.bus.envelope import encode, push_body
from realtime.bus.port import BusMessage
from realtime.call import Call, Status
from tests.functions import apps
from tests.functions import test_reconcile_conversations as vendor
from tests.functions.conftest import embedded
from tests.functions.test_apply_call_event import beside, deliver, found, opened, push, status
from tests.functions.test_baggage import relayed
from tests.functions.test_elevenlabs_webhook import published
from tests.functions.test_reconcile_conversations import eleven

__all__ = ["eleven", "embedded"]
DIED = 7


def again(message: BusMessage, message_id: str) -> dict[str, object]:
    """The same news as another message of the bus: what a publisher that tries again makes."""
    data, attributes = encode(message)
    return push_body(
        data, attributes, message_id=message_id, publish_time=message.occurred_at, ordering_key=message.ordering_key
    )


def lines(path: Path) -> list[tuple[int, str, object]]:
    events = beside(path, lambda journal, _: journal.events("CA1"))
    return [(event.seq, event.type.value, event.data.get("status")) for event in events]


def dying(path: Path, code: str) -> None:
    """A function in a process of its own that ends in the middle of `code`, as a container that is killed does."""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "CALLBOARD_DATA_DIR": str(path.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == DIED, ended.stderr


def test_f6_the_same_news_at_once_and_as_other_messages_is_one_entry(embedded: Path) -> None:
    opened(embedded, Call(call_id="CA1", call_sid="CA1"))
    words = ["ringing", "in-progress", "completed"]
    bodies = [again(status(word), f"{word}-{n}") for n in range(4) for word in reversed(words)]
    bodies += [push(status(word)) for word in words]  # and the very same message
    with ThreadPoolExecutor(8) as pool:  # a handler slower than its deadline is called again while it runs
        codes = list(pool.map(deliver, bodies))
    for body, code in zip(bodies, codes, strict=True):
        if code != 204:  # a lost race: the bus delivers again
            assert (code, deliver(body)) == (503, 204)
    told = lines(embedded)
    assert [seq for seq, _, _ in told] == list(range(1, len(told) + 1))
    order = [word for _, type_, word in told if type_ == "call_status"]
    assert order == sorted(set(order), key=lambda word: ["ringing", "in_progress", "completed"].index(str(word)))
    assert [type_ for _, type_, _ in told].count("call_completed") == 1
    assert found(embedded).status is Status.COMPLETED


def test_f7_a_webhook_that_dies_after_it_has_published_is_tried_again_and_is_one_entry(embedded: Path) -> None:
    opened(embedded, Call(call_id="CA1", call_sid="CA1", conversation_id="conv_1", hosted=True))
    body = json.dumps(apps.transcription())
    dying(
        embedded,
        "import os\n"
        "from functions import elevenlabs_webhook as it\n"
        "from tests.functions import apps\n"
        "publish = it.publish\n"
        f"it.publish = lambda *args: (publish(*args), os._exit({DIED}))\n"
        f"apps.deliver(apps.app_of('elevenlabs_webhook'), {body!r}.encode())\n",
    )
    assert apps.deliver(apps.app_of("elevenlabs_webhook"), body.encode())[0] == 200
    letters = published(embedded)
    assert len(letters) >= 1
    assert len({letter.id for letter in letters}) == 1
    for n, letter in enumerate([*letters, *letters]):
        assert deliver(again(letter, str(n))) == 204
    assert [type_ for _, type_, _ in lines(embedded)] == ["call_status", "call_completed"]


def test_f8_a_webhook_that_dies_before_it_has_published_and_is_never_sent_again(
    embedded: Path, eleven: ElevenLabsApi
) -> None:
    conversation_id = vendor.placed(eleven, "EL_7_1")
    eleven.finish(conversation_id, vendor.SAID)
    call = Call(call_id="EL_7_1", conversation_id=conversation_id, hosted=True)
    vendor.waiting(embedded, call, for_=vendor.LONG)
    body = json.dumps(apps.transcription(conversation_id))
    dying(
        embedded,
        "import os\n"
        "from functions import elevenlabs_webhook as it\n"
        "from tests.functions import apps\n"
        f"it.publish = lambda *_: os._exit({DIED})\n"
        f"apps.deliver(apps.app_of('elevenlabs_webhook'), {body!r}.encode())\n",
    )
    assert published(embedded) == [], "nobody was told, and the vendor had no answer"
    assert vendor.run()[1]["published"] == ["EL_7_1"], "so we ask"
    assert len(relayed(embedded)) == 1
    events = beside(embedded, lambda journal, _: journal.events("EL_7_1"))
    assert [event.type.value for event in events] == ["call_status", "call_completed"]


def test_f9_an_applier_that_dies_after_its_commit_does_nothing_the_second_time(embedded: Path) -> None:
    opened(embedded, Call(call_id="CA1", call_sid="CA1"))
    body = push(status("ringing"))
    dying(
        embedded,
        "import os\n"
        "from functions.applier import Applier\n"
        "from tests.functions import test_apply_call_event as it\n"
        "receive = Applier.receive\n"
        "async def once(self, *args):\n"
        "    await receive(self, *args)\n"
        f"    os._exit({DIED})\n"
        "Applier.receive = once\n"
        f"it.deliver({json.loads(json.dumps(body))!r})\n",
    )
    before = lines(embedded)
    assert [word for _, _, word in before] == ["ringing"]
    assert deliver(body) == 204
    assert lines(embedded) == before


def test_f11_without_the_bus_nothing_is_acknowledged_and_later_all_is_well(
    embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("CALLBOARD_BUS", "pubsub")
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "demo-nobody")
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{nobody.getsockname()[1]}")
        code, answer = apps.deliver(apps.app_of("elevenlabs_webhook"), apps.transcription())
        assert (code, answer["error"]["code"]) == (503, "unavailable")
    monkeypatch.setenv("CALLBOARD_BUS", "embedded")
    assert apps.deliver(apps.app_of("elevenlabs_webhook"), apps.transcription())[0] == 200
    assert len(published(embedded)) == 1


def test_f6_late_news_of_a_call_that_is_over_goes_back_nowhere(embedded: Path) -> None:
    opened(embedded, replace(Call(call_id="CA1", call_sid="CA1"), status=Status.RINGING))
    for word in ("completed", "ringing", "in-progress"):
        assert deliver(again(status(word), word)) == 204
    runtime.close_all()
    assert found(embedded).status is Status.COMPLETED
