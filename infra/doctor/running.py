"""What a gateway that runs here says of its connections: the same report as the dashboard's page "Set up"."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from infra.doctor.checks import Finding, State3
from infra.mistakes import NotThere
from media_gateway.settings import SettingsError

GROUP = "the running gateway"
_STATES: Mapping[str, State3] = {"ok": "ok", "wrong": "fail", "unknown": "warn", "off": "skip"}
_WORDS = {"ok": "works", "wrong": "needs a look", "unknown": "not seen since it started", "off": "not set up"}


def running(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Nothing when no gateway answers on this machine's port (a deployment needs none)."""
    port = environ.get("PORT") or "8080"
    try:
        found = asyncio.run(_asked(int(port))) if port.isdecimal() else []
    except NotThere as problem:
        fix = "ADMIN_USERNAME and ADMIN_PASSWORD must be those that the gateway was started with."
        yield Finding(GROUP, "connections", "warn", str(problem), fix)
        return
    except SettingsError:
        return  # what is wrong with the environment is told elsewhere
    for line in found:
        yield finding(line)


async def _asked(port: int) -> list[dict[str, Any]]:
    from infra.cli import sources

    if not await sources.answers(port):  # before the settings are read: `dev` would make its secrets then
        return []
    async with sources.running(None) as api:
        lines: list[dict[str, Any]] = (await api.get("/api/v1/connections"))["connections"]
        return lines


def finding(line: Mapping[str, Any]) -> Finding:
    """One connection of `/api/v1/connections` as a line of the report."""
    state = _STATES.get(str(line["state"]), "warn")
    if state == "warn" and not line.get("fix"):
        state = "skip"  # not seen yet, and nothing to be done about it
    said = [_WORDS.get(str(line["state"]), str(line["state"])), str(line["what"])]
    if line.get("demo"):
        said.append("this machine stands in for it")
    if line.get("last_seen"):
        said.append(f"seen {line['last_seen']}")
    detail = ", ".join(said) + (f". {line['problem']}" if line.get("problem") else "")
    return Finding(GROUP, str(line["title"]), state, detail, str(line.get("fix") or ""))
