"""`logs`: what all components logged about a call, in order."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from infra.cli.deploying import Where, gcloud_for
from infra.gcloud.kind import JSON
from infra.gcloud.place import BadPlace
from infra.gcloud.resources import components

_IDS = ("call_id", "call_sid", "conversation_id")
_SHOWN = ("message", "time", "logger", "severity")


def show_logs(
    out: Console, err: Console, where: Where, call: str | None, service: str | None, *, minutes: int, as_json: bool
) -> int:
    """Every line that names the call; without one, every line. Raises BadPlace, GcloudFailed."""
    there = where.place()
    names = [service] if service else [there.named(component.name) for component in components(there)]
    argv = ("logging", "read", wanted(names, call), f"--freshness={minutes}m", "--limit=500", "--order=asc", JSON)
    lines: Sequence[Mapping[str, Any]] = gcloud_for(there, err).read(argv)
    if as_json:
        sys.stdout.write(json.dumps(lines, indent=1) + "\n")
        return 0
    for line in lines:
        out.print(shown(line), markup=False, highlight=False, soft_wrap=True)
    if not lines:
        err.print(f"No line in the last {minutes} minutes. Longer ago: --minutes 1440")
    return 0


def wanted(services: Sequence[str], call: str | None) -> str:
    """The filter. Raises BadPlace for what is no id: it would be part of the filter."""
    for text in [*services, *([call] if call else [])]:
        if not all(letter.isalnum() or letter in "_-" for letter in text):
            raise BadPlace(f"{text!r} is no id of a call and no name of a service.")
    named = " OR ".join(f'"{name}"' for name in services)
    found = f'resource.type="cloud_run_revision" AND resource.labels.service_name=({named})'
    if call:
        found += " AND (" + " OR ".join(f'jsonPayload.{name}="{call}"' for name in _IDS) + ")"
    return found


def shown(line: Mapping[str, Any]) -> str:
    """One line: when, how bad, who, what, and the rest of what it says."""
    payload = dict(line.get("jsonPayload") or {"message": line.get("textPayload", "")})
    rest = " ".join(f"{key}={payload[key]}" for key in payload if key not in _SHOWN)
    name = line.get("resource", {}).get("labels", {}).get("service_name", "")
    return f"{line.get('timestamp', '')[:23]} {line.get('severity', ''):<7} {name}: {payload.get('message')} {rest}"
