"""Any deployment, from outside: the sockets, and a call from the order to the record.

Against a real one:

    API_BASE_URL=https://... WS_BASE_URL=wss://... TEST_USERNAME=... TEST_PASSWORD=... TEST_PHONE_NUMBER=+1... \\
        python3 run.py test tests/e2e/test_deployment.py --yes

Without `--yes` no telephone rings. Without the variables it is a system of this machine with a simulated ElevenLabs.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.deployment import (
    DIALLED,
    REACHED,
    Deployment,
    Incomplete,
    a_call_from_order_to_record,
    given,
    sockets_are_there,
)
from tests.e2e.hosted import SAID, SECRET, Ground, ground

pytestmark = [pytest.mark.call, pytest.mark.timeout(600)]
TALKED = [
    {"type": "agent_response", "agent_response_event": {"agent_response": SAID[0][1]}},
    {"type": "user_transcript", "user_transcription_event": {"user_transcript": SAID[1][1]}},
]


@contextmanager
def a_system_of_ours(folder: Path) -> Iterator[tuple[Deployment, Ground]]:
    """In a thread of its own: the tests here are outside of it, as they are outside of a deployment."""
    ready, over, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()
    found: list[tuple[Deployment, Ground]] = []

    async def serve() -> None:
        async with ground(folder) as here:
            url, settings = here.system.url, here.system.settings
            password = settings.admin_password.get_secret_value()
            websocket = url.replace("http", "ws", 1)
            here.vendor.monitored = True
            here.vendor.before_answer = lambda conversation_id: _answer_the_phone(here, conversation_id)
            there = Deployment(url, websocket, settings.admin_username, password, "+14155550177", ours=True, call_s=30)
            found.append((there, here))
            ready.set()
            await over.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="a system", daemon=True)
    thread.start()
    ready.wait(60)
    try:
        assert found, "the system did not start"
        yield found[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(30)
        loop.close()


async def _answer_the_phone(here: Ground, conversation_id: str) -> None:
    """A driver talks a little; the webhook comes afterwards."""

    async def talk() -> None:
        here.vendor.becomes(conversation_id, "in-progress")
        here.vendor.events[conversation_id] = [*TALKED]
        await asyncio.sleep(1.5)
        here.vendor.finish(conversation_id, SAID)
        await here.vendor.deliver_transcription(conversation_id, here.webhook, SECRET)

    here.talking = asyncio.create_task(talk())


@pytest.fixture(scope="module")
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Deployment, Ground | None]]:
    try:
        there = given(os.environ)
    except Incomplete as problem:
        pytest.fail(str(problem), pytrace=False)
    if there:
        yield there, None
    elif request.config.getoption("--deployed"):
        pytest.skip(f"--deployed, and no deployment is named: set {', '.join((*REACHED, DIALLED))}")
    else:
        with a_system_of_ours(tmp_path_factory.mktemp("deployment")) as started:
            yield started


def test_sockets_are_there(deployment: tuple[Deployment, Ground | None]) -> None:
    asyncio.run(sockets_are_there(deployment[0]))


def test_a_call_from_order_to_record(
    deployment: tuple[Deployment, Ground | None], request: pytest.FixtureRequest
) -> None:
    there, _ = deployment
    if not there.phone_number:
        pytest.skip(f"no telephone is named: set {DIALLED}")
    if not there.ours and not request.config.getoption("--yes"):
        pytest.skip(f"it would ring {there.phone_number}: say --yes")
    record = asyncio.run(a_call_from_order_to_record(there))
    if there.ours:
        assert [line["message"] for line in record["transcript"]] == [text for _, text in SAID]


@pytest.mark.parametrize("yes", [False, pytest.param(True, marks=pytest.mark.long)], ids=["no", "yes"])
def test_a_deployment_is_dialled_with_a_yes_only(deployment: tuple[Deployment, Ground | None], yes: bool) -> None:
    """These very tests, told of our system as if it were somebody's deployment."""
    there, here = deployment
    if here is None:
        pytest.skip("this is about the tests themselves: run it without API_BASE_URL")
    before = len(here.vendor.orders)
    values = (there.api_base_url, there.ws_base_url, there.username, there.password, there.phone_number)
    environment = {**os.environ, **dict(zip((*REACHED, DIALLED), values, strict=True))}
    command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", "-n", "0", *(["--yes"] if yes else [])]
    done = subprocess.run(
        [*command, __file__],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (f"it would ring {there.phone_number}: say --yes" in done.stdout) is not yes
    assert len(here.vendor.orders) == before + yes


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"API_BASE_URL": "https://a"}, "WS_BASE_URL, TEST_USERNAME, TEST_PASSWORD"),
        (dict.fromkeys(REACHED, "https://a"), "WS_BASE_URL must be an origin"),
    ],
)
def test_half_a_deployment_is_no_deployment(environ: dict[str, str], said: str) -> None:
    with pytest.raises(Incomplete, match=said):
        given(environ)


def test_nothing_is_named() -> None:
    assert given({DIALLED: "+14155550177"}) is None
    whole = dict(zip(REACHED, ("https://a/", "wss://a", "me", "secret"), strict=True))
    assert given(whole) == Deployment("https://a", "wss://a", "me", "secret")
    assert "secret" not in repr(given(whole))
