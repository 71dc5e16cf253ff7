"""From a signed webhook to a browser's socket, through the real emulators, beside the bare chain of the same hops
(`tests.bench.bare_chain`) on the same emulators in the same run.

    python -m tests.bench.webhook_to_browser [--webhooks 120] [--every 0.3]

Webhooks go to both chains by turns, so that what else the machine does falls on both. Of ours, the delay is to
`call_completed` with the whole record at a `callboard.v1` client that watches all calls. Prints JSON: milliseconds, and
the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from media_gateway.auth import Principal, Tokens
from realtime.call import Call, Status
from realtime.journal import Journal
from realtime.stores.firestore import FirestoreStore
from tests import conftest, emulators
from tests.bench import bare_chain
from tests.bench.bare_socket import BareSocket
from tests.functions.apps import MAIN, SECRET, sign, transcription
from tests.media_gateway.harness import KEY, environ
from tests.realtime.buses import wire_pubsub

__all__ = ["conftest", "measure"]  # `tests.emulators` can only be imported after it
WARM = 5
"""Webhooks of each chain before those that count: first connections, first imports."""
_NAME = re.compile(rb'"conversation_id":"(conv_[0-9]+)"|"name": "(conv_[0-9]+)"')


@asynccontextmanager
async def process(command: list[str], environment: dict[str, str], port: int, log: Path) -> AsyncIterator[None]:
    """A server, from when it listens until the end."""
    with log.open("wb") as out:
        running = subprocess.Popen(  # noqa: ASYNC220 - once, before anything is measured
            [sys.executable, "-m", *command], env={**os.environ, **environment}, stdout=out, stderr=out
        )
    try:
        async with asyncio.timeout(60):
            while True:
                if running.poll() is not None:
                    raise RuntimeError(f"{command} ended, see {log}")
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                except OSError:
                    await asyncio.sleep(0.05)
        yield
    finally:
        running.terminate()
        await asyncio.to_thread(running.wait, 15)


class Chain:
    """A webhook's address, and the moments when what it told came out at the other end."""

    def __init__(self) -> None:
        self.url = ""
        self.sent: dict[str, float] = {}
        self.acknowledged: list[float] = []
        self.came: dict[str, float] = {}

    def take(self, data: bytes, _text: bool) -> None:
        """A frame at the browser."""
        found = _NAME.search(data) if b"call_completed" in data or data.startswith(b'{"name"') else None
        if found:
            self.came.setdefault((found[1] or found[2]).decode(), time.perf_counter())

    async def post(self, http: httpx2.AsyncClient, number: int) -> None:
        """One webhook, acknowledged."""
        name = f"conv_{number}"
        # As the vendor tells of a call that we have placed: the user id is our call id.
        body = json.dumps(transcription(name, f"CA{number:032d}", user_id=_call_id(number))).encode()
        self.sent[name] = began = time.perf_counter()
        answer = await http.post(self.url, content=body, headers={"ElevenLabs-Signature": sign(body)})
        if answer.status_code != 200:
            raise RuntimeError(f"{self.url} answered {answer.status_code}: {answer.text}")
        self.acknowledged.append(time.perf_counter() - began)

    def result(self) -> dict[str, float]:
        """Milliseconds."""
        late = sorted((self.came[name] - sent) * 1000 for n, (name, sent) in enumerate(self.sent.items()) if n >= WARM)
        answered = sorted(1000 * one for one in self.acknowledged[WARM:])
        found = {"p50": late[len(late) // 2], "p99": late[int(len(late) * 0.99)], "max": late[-1]}
        return {name: round(value, 1) for name, value in found.items()} | {
            "acknowledged_p50": round(answered[len(answered) // 2], 1)
        }


def _call_id(number: int) -> str:
    return f"EL_d{number}_20261120T100000000Z"


def _function(source: Path, target: str, port: int) -> list[str]:
    where = ["--host", "127.0.0.1", "--port", str(port)]
    return ["functions_framework", "--source", str(source), "--target", target, *where]


@asynccontextmanager
async def ours(folder: Path, shared: dict[str, str], webhooks: int) -> AsyncIterator[Chain]:
    """The functions, a gateway, its client, and hosted calls that have been placed."""
    webhook, push, gateway = emulators.free_port(), emulators.free_port(), emulators.free_port()
    settings = {**shared, "CALLBOARD_STORE": "firestore", "CALLBOARD_BUS": "pubsub", "LOG_LEVEL": "WARNING"}
    serving = {**environ(folder), **settings, "PUBLIC_BASE_URL": "", "CALLBOARD_ROLE": "dashboard"}
    serving |= {"PORT": str(gateway)}
    chain = Chain()
    chain.url = f"http://127.0.0.1:{webhook}/"
    async with AsyncExitStack() as stack:
        for command, environment, port in (
            (_function(MAIN, "elevenlabs_webhook", webhook), settings, webhook),
            (_function(MAIN, "apply_call_event", push), settings, push),
            (["media_gateway"], serving, gateway),
        ):
            await stack.enter_async_context(process(command, environment, port, folder / f"ours-{port}.log"))
        store = FirestoreStore(shared["GOOGLE_CLOUD_PROJECT"], emulator_host=shared["FIRESTORE_EMULATOR_HOST"])
        stack.push_async_callback(store.aclose)
        journal = Journal(store)
        for n in range(webhooks + WARM):
            call = Call(
                call_id=_call_id(n),
                call_sid=f"CA{n:032d}",
                conversation_id=f"conv_{n}",
                hosted=True,
                status=Status.IN_PROGRESS,
            )
            await journal.open(call)
        close = await asyncio.to_thread(
            wire_pubsub, shared["PUBSUB_EMULATOR_HOST"], shared["GOOGLE_CLOUD_PROJECT"], f"http://127.0.0.1:{push}/"
        )
        stack.callback(close)
        await stack.enter_async_context(_watching(f"ws://127.0.0.1:{gateway}/ws/v1", chain))
        yield chain


@asynccontextmanager
async def _watching(url: str, chain: Chain) -> AsyncIterator[None]:
    heads = asyncio.Event()

    def take(data: bytes, text: bool) -> None:
        if b'"heads"' in data:
            heads.set()
        elif data.startswith(b'{"type":"ping"'):
            socket.send_text('{"type":"pong"}')
        else:
            chain.take(data, text)

    socket = await BareSocket.connect(url, {"Sec-WebSocket-Protocol": "callboard.v1"}, take)
    ticket = Tokens([("k1", KEY)]).ticket(Principal("ann", "default", "viewer"))
    socket.send_text(json.dumps({"id": 1, "type": "connect", "token": ticket}))
    socket.send_text(json.dumps({"id": 2, "type": "subscribe", "call_id": "*"}))
    async with asyncio.timeout(30):
        await heads.wait()
    try:
        yield
    finally:
        socket.close()


@asynccontextmanager
async def bare(folder: Path, shared: dict[str, str]) -> AsyncIterator[Chain]:
    """The floor."""
    webhook, push, listener = emulators.free_port(), emulators.free_port(), emulators.free_port()
    source = Path(bare_chain.__file__)
    chain = Chain()
    chain.url = f"http://127.0.0.1:{webhook}/"
    async with AsyncExitStack() as stack:
        for command, port in (
            (_function(source, "verify", webhook), webhook),
            (_function(source, "apply", push), push),
            (["tests.bench.bare_chain", "--port", str(listener)], listener),
        ):
            await stack.enter_async_context(process(command, shared, port, folder / f"bare-{port}.log"))
        close = await asyncio.to_thread(
            wire_pubsub,
            shared["PUBSUB_EMULATOR_HOST"],
            shared["GOOGLE_CLOUD_PROJECT"],
            f"http://127.0.0.1:{push}/",
            topic=bare_chain.TOPIC,
            subscription="bare-apply",
        )
        stack.callback(close)
        socket = await BareSocket.connect(f"ws://127.0.0.1:{listener}/", {}, chain.take)
        stack.callback(socket.close)
        await asyncio.sleep(1)
        yield chain


async def measure(webhooks: int = 120, every: float = 0.3) -> dict[str, Any]:
    """`ratio_p50`, `ratio_p99`: ours over the floor's (at most 1.3 is wanted)."""
    with tempfile.TemporaryDirectory() as name, emulators.both(Path(name)) as (firestore, pubsub):
        shared = {
            "GOOGLE_CLOUD_PROJECT": f"demo-{secrets.token_hex(4)}",
            "FIRESTORE_EMULATOR_HOST": firestore,
            "PUBSUB_EMULATOR_HOST": pubsub,
            "ELEVENLABS_WEBHOOK_SECRET": SECRET,
        }
        folder = Path(name)
        async with bare(folder, shared) as floor, ours(folder, shared, webhooks) as callboard:
            await _send(floor, callboard, webhooks, every)
            found = {"bare": floor.result(), "callboard": callboard.result()}
    ratios = {f"ratio_{at}": round(found["callboard"][at] / found["bare"][at], 2) for at in ("p50", "p99")}
    return {"webhooks": webhooks, **found, **ratios}


async def _send(floor: Chain, callboard: Chain, webhooks: int, every: float) -> None:
    loop = asyncio.get_running_loop()
    async with httpx2.AsyncClient(trust_env=False, timeout=20) as http, asyncio.TaskGroup() as group:
        began = loop.time()
        for n in range(webhooks + WARM):
            for turn, chain in enumerate((floor, callboard)):
                # Not in step with the emulator's own tenths of a second.
                at = began + (n + turn / 2 + (n * 0.37) % 0.4) * every
                await asyncio.sleep(max(0.0, at - loop.time()))
                group.create_task(chain.post(http, n))
    async with asyncio.timeout(60):
        while any(len(chain.came) < webhooks + WARM for chain in (floor, callboard)):
            await asyncio.sleep(0.05)


def main() -> int:
    """One JSON object on stdout."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--webhooks", type=int, default=120)
    parser.add_argument("--every", type=float, default=0.3)
    given = parser.parse_args()
    print(json.dumps(asyncio.run(measure(given.webhooks, given.every))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
