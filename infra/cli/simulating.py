"""`simulate-call`: what is printed around `infra.local.simulate`."""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx2
from rich.console import Console
from rich.table import Table
from websockets.exceptions import WebSocketException

from infra.local.demo_calls import TYPED
from infra.local.ordering import account
from infra.local.simulate import Target, Verdict, simulate
from infra.local.system import LocalSystem, free_port
from infra.mistakes import Unreachable
from infra.simulators.report import Entry, Observer
from infra.simulators.scenario import Scenario, load_scenario, scenario_names
from infra.simulators.twilio_api import TwilioApi
from infra.simulators.vendors import Vendors
from media_gateway.settings import load


async def simulate_call(
    console: Console, name: str, url: str | None, wav: Path | None, *, vendors: bool = False, quiet: bool
) -> Verdict:
    """Against `url`, or a system of its own that is gone afterwards, on simulated `vendors` if that is wished."""
    scenario = load_scenario(name)
    if wav is not None:
        _make(wav)

    def tell(entry: Entry) -> None:
        if not quiet:
            console.print(f"[dim]{entry.at_ms / 1000:7.1f} s[/] {entry.what} {_short(entry)}")

    if url and vendors:
        raise Unreachable("--vendors is for a system that is started for this call; leave --url out.")
    if url:
        try:
            return await simulate(_target_at(url, wav), scenario, tell)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, WebSocketException) as problem:
            reason = str(problem) or type(problem).__name__
            remedy = "Is a system running there? `python3 run.py` starts one at http://127.0.0.1:8080."
            raise Unreachable(f"--url {url} could not be used: {reason}. {remedy}") from problem
    with tempfile.TemporaryDirectory(prefix="callboard-") as folder:
        async with twilio_for(scenario) as twilio, vendors_if(vendors) as engines:
            return await _own(console, scenario, twilio, engines, Path(folder), wav, tell, quiet=quiet)


async def _own(
    console: Console,
    scenario: Scenario,
    twilio: TwilioApi | None,
    vendors: Vendors | None,
    folder: Path,
    wav: Path | None,
    tell: Observer,
    *,
    quiet: bool,
) -> Verdict:
    # Standard output is the verdict's alone: scripts read it.
    system = LocalSystem(
        port=free_port(),
        functions_port=free_port(),
        data_dir=folder,
        environment={
            "LOG_LEVEL": os.environ.get("LOG_LEVEL") or "WARNING",
            "CALLBOARD_MAX_LAG_MS": "0",  # one call is never one too many
            **(account(twilio) if twilio else {}),
            **(chosen(vendors) if vendors else {}),
        },
        output=sys.stderr.fileno(),
    )
    if not quiet:
        console.print("Starting a system for this call ...")
    async with system:
        target = target_of(system, wav, twilio)
        if vendors:
            target = replace(target, engines="simulated vendors")
        return await simulate(target, scenario, tell)


@asynccontextmanager
async def vendors_if(wanted: bool) -> AsyncIterator[Vendors | None]:
    """All vendors on this machine, if they are wanted."""
    if not wanted:
        yield None
        return
    async with Vendors().serving() as vendors:
        yield vendors


def chosen(vendors: Vendors) -> dict[str, str]:
    """The environment that leads to them: as the environment says which API listens and who speaks, else Flux and
    ElevenLabs."""
    return vendors.environment(
        listen="v1" if os.environ.get("DEEPGRAM_LISTEN") == "v1" else "v2",
        speak="deepgram" if os.environ.get("CALLBOARD_TTS") == "deepgram" else "elevenlabs",
    )


@asynccontextmanager
async def twilio_for(*scenarios: Scenario) -> AsyncIterator[TwilioApi | None]:
    """A Twilio of our own, if one of these is a call that Callboard places."""
    if not any(scenario.placed for scenario in scenarios):
        yield None
        return
    async with TwilioApi(auth_token=secrets.token_hex(16)) as twilio:
        yield twilio


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise Unreachable(f"--wav {folder}: no folder can be made there ({problem.strerror})") from problem


def target_of(system: LocalSystem, wav: Path | None = None, twilio: TwilioApi | None = None) -> Target:
    """The keys to a system of our own."""
    settings = system.settings
    return Target(
        url=system.url,
        username=settings.admin_username,
        password=settings.admin_password.get_secret_value(),
        auth_token=settings.twilio_auth_token.get_secret_value(),
        zone=ZoneInfo(settings.callboard_timezone),
        wav_dir=wav,
        database=system.database if settings.callboard_store == "embedded" else None,
        twilio=twilio,
    )


def _target_at(url: str, wav: Path | None) -> Target:
    """The keys to a running system: from the environment, else those that `dev` keeps on this machine."""
    settings = load(os.environ, dev=True)
    return Target(
        url=url.rstrip("/"),
        username=settings.admin_username,
        password=settings.admin_password.get_secret_value(),
        auth_token=settings.twilio_auth_token.get_secret_value(),
        zone=ZoneInfo(settings.callboard_timezone),
        wav_dir=wav,
    )


def _short(entry: Entry) -> str:
    return " ".join(f"{key}={str(value)[:60]}" for key, value in entry.detail.items())


def list_scenarios(console: Console, *, as_json: bool) -> None:
    """Name and description of each."""
    rows = [(name, load_scenario(name).description) for name in scenario_names() if name != TYPED]
    if as_json:
        sys.stdout.write(json.dumps([{"name": name, "description": text} for name, text in rows], indent=1) + "\n")
        return
    table = Table("scenario", "what the caller does", box=None)
    for name, text in rows:
        table.add_row(name, text)
    console.print(table)


def show(console: Console, verdict: Verdict) -> None:
    """The call, for people."""
    console.print()
    for turn in verdict.turns:
        who = "[cyan]caller   [/]" if turn["speaker"] == "user" else "[green]assistant[/]"
        console.print(f"{who} {turn['text']}{' [dim](interrupted)[/]' if turn['interrupted'] else ''}")
    for tool in verdict.tools:
        console.print(
            f"[magenta]tool     [/] {tool['tool']} {dict(tool['arguments'])} -> {'ok' if tool['ok'] else 'no'}"
        )
    for made in verdict.appointments:
        console.print(f"[bold]booked   [/] {made['service_type']} on {made['date']} at {made['time']}")
    first = verdict.latencies["first_media_ms"]
    console.print(f"[dim]first sound after {first and round(first)} ms ({verdict.latencies['engines']})[/]")
    if verdict.wav:
        console.print(f"[dim]both sides: {verdict.wav}[/]")
    for failure in verdict.failures:
        console.print(f"[red]not as expected: {failure}[/]")
    console.print("[bold green]as expected[/]" if verdict.ok else "[bold red]failed[/]")
