"""`python3 run.py`: the whole system, a line for each stage, and the way in."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import webbrowser
from pathlib import Path

from rich.console import Console

from infra.local.system import LocalSystem
from infra.mistakes import DidNotStart
from media_gateway.auth.doors import loopback
from media_gateway.providers.catalog import describe
from media_gateway.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


async def serve(console: Console, *, open_browser: bool = False) -> int:
    """Run until Ctrl-C or until a part ends; the exit code."""
    port, functions_port = _port("PORT", 8080), _port("FUNCTIONS_PORT", 8081)
    for name, number in (("PORT", port), ("FUNCTIONS_PORT", functions_port)):
        _free(name, number)
    # Without the page's libraries the rest works, and the page says what is missing.
    await (
        await asyncio.create_subprocess_exec(sys.executable, "-m", "media_gateway.dashboard.frontend", cwd=ROOT)
    ).wait()
    data_dir = Path(os.environ.get("CALLBOARD_DATA_DIR", ".callboard"))
    system = LocalSystem(port=port, functions_port=functions_port, data_dir=data_dir)
    for line in stages(system.settings):
        console.print(f"  {line}", highlight=False)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C comes as KeyboardInterrupt
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with system:
        _welcome(console, system)
        if open_browser:
            webbrowser.open(login_url(system))
        ended = asyncio.create_task(system.until_one_ends())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if ended.done() and not stop.is_set():
            console.print(f"[red]The {ended.result().split('_')[0]} ended by itself; see above.[/]")
            return 1
        ended.cancel()
        console.print("Stopping ...")
    return 0


def stages(settings: Settings) -> list[str]:
    """Which engine serves each stage, and what would change it."""
    database = settings.callboard_data_dir / "callboard.db"
    where = {
        "store": (settings.callboard_store, "CALLBOARD_STORE=firestore and GOOGLE_CLOUD_PROJECT for Firestore"),
        "bus": (settings.callboard_bus, "CALLBOARD_BUS=pubsub and GOOGLE_CLOUD_PROJECT for Pub/Sub"),
    }
    lines = [*describe(settings)]
    for name, (choice, unlock) in where.items():
        lines.append(f"{name}: embedded ({database}) · set {unlock}" if choice == "embedded" else f"{name}: {choice}")
    return lines


def login_url(system: LocalSystem) -> str:
    """Works once, from this machine only."""
    return f"{system.url}/?login={system.demo_code}"


def _welcome(console: Console, system: LocalSystem) -> None:
    console.print()
    console.print(f"  [bold]Dashboard:[/] {login_url(system)}", highlight=False, soft_wrap=True)
    console.print('  (logs you in once, from this machine; press "Start a demo call" there. Ctrl-C stops.)')
    if "ADMIN_PASSWORD" in system.settings.generated:
        name, file = system.settings.admin_username, system.settings.callboard_data_dir / "dev-secrets.json"
        console.print(f"  Later: log in as {name} with the admin_password in {file}", highlight=False)
    _warn_of_the_outside(console, system.settings)
    console.print(f"  Phone calls come in at {system.settings.base_url}/api/v1/voice/incoming", highlight=False)
    console.print(f"  Webhooks come in at {system.functions_url}/elevenlabs_webhook", highlight=False)
    console.print()


def _warn_of_the_outside(console: Console, settings: Settings) -> None:
    """A public address with made-up secrets would be answered with refusals only."""
    made_up = sorted(settings.generated & {"TWILIO_AUTH_TOKEN", "JWT_SECRET", "ADMIN_USERNAME", "ADMIN_PASSWORD"})
    if made_up and not loopback(settings.public_host):
        names = ", ".join(made_up)
        console.print(f"  [yellow]From outside nothing is answered yet: set {names} and start again.[/]")


def _port(name: str, default: int) -> int:
    text = os.environ.get(name, "") or str(default)
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise DidNotStart(f"{name}={text} is no port; use a number from 1 to 65535.")
    return int(text)


def _free(name: str, number: int) -> None:
    """Raises DidNotStart when something else listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError as problem:
            remedy = f"Stop what listens there, or choose another: {name}={number + 10} python3 run.py"
            raise DidNotStart(f"Port {number} is taken ({problem.strerror}). {remedy}") from problem
