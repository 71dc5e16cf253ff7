"""A flow is one YAML file: what a shop's assistant says, asks and knows. Read, checked, and made ready for the manager.

Every mistake in a file is reported with its file and line, all of them at once (`FlowError`). `extends: other` takes
another flow of the same folder and changes only what the file itself says (mappings are merged, lists replaced).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from media_gateway.conversation.dates import Hours
from media_gateway.conversation.model import ListeningProfile, Started
from media_gateway.conversation.phrases import phrases
from media_gateway.conversation.schema import FlowSpec, Service
from media_gateway.conversation.sections import Listening
from media_gateway.conversation.understand import Ear
from media_gateway.conversation.yaml_lines import FlowError, place, problems_of, read

__all__ = ["SHIPPED", "Flow", "FlowError", "choose_flow", "load_flow", "load_flows"]

LISTENED_AS: Mapping[str, str] = {
    **dict.fromkeys(("confirm", "confirm_cancel", "right_person", "reminder", "anything_else"), "yes_no"),
    **dict.fromkeys(("second_fact", "vin"), "digits"),
    "callback": "email",
    **dict.fromkeys(("message", "what_was_wrong", "item", "item_reason"), "free_talk"),
}
"""What kind of answer a question waits for (`listening_for:` of the flow's file)."""
SHIPPED = Path(__file__).parent / "flows"


@dataclass(frozen=True, eq=False)
class Flow:
    """A checked flow. `phrases` is one shared tuple, made once."""

    spec: FlowSpec
    source: str = ""

    @property
    def name(self) -> str:
        return self.spec.name

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.spec.shop.timezone)

    @cached_property
    def hours(self) -> Hours:
        """The widest opening of the week: what makes "at two" an afternoon."""
        days = [day for day in self.spec.hours.days() if day]
        return Hours(min(day.opens for day in days), max(day.closes for day in days))

    @cached_property
    def ear(self) -> Ear:
        """What understands this flow's callers."""
        return Ear(self.spec, self.hours)

    @cached_property
    def phrases(self) -> tuple[str, ...]:
        """What this flow's callers are likely to say, for recognisers that take a vocabulary."""
        return phrases(self.spec, self.hours)

    @cached_property
    def profiles(self) -> Mapping[str, ListeningProfile]:
        """How to listen, by what was asked; "free" when nothing in particular was."""
        keyterms = tuple(service.say for service in self.spec.services)
        named: dict[str, Listening] = {
            "free": self.spec.listening,
            **{asked: getattr(self.spec.listening_for, kind) for asked, kind in LISTENED_AS.items()},
            **{name: slot.listening for name, slot in self.spec.slots.items()},
        }
        return {
            name: ListeningProfile(
                name=name,
                patience_ms=listening.patience_ms,
                dtmf=listening.dtmf,
                keyterms=(*keyterms, *listening.keyterms),
                phrases=self.phrases,
            )
            for name, listening in named.items()
        }

    def warm(self) -> None:
        """Make everything that is made once, so that no call pays for it."""
        _ = self.profiles
        self.ear.hear("tomorrow at two", datetime(2026, 1, 1, 12, tzinfo=self.zone))

    def service(self, key: str) -> Service | None:
        return next((service for service in self.spec.services if service.key == key), None)

    def opens(self, weekday: int) -> tuple[time, time] | None:
        """Opening and closing of a day of the week (monday is 0); None when closed."""
        day = self.spec.hours.days()[weekday]
        return (day.opens, day.closes) if day else None

    def is_closed(self, day: date) -> bool:
        """A day of `closed_days`."""
        return bool({day.isoformat(), day.isoformat()[5:]} & set(self.spec.closed_days))

    def opens_on(self, day: date) -> tuple[time, time] | None:
        """Opening and closing of that day; None when closed."""
        return None if self.is_closed(day) else self.opens(day.weekday())

    def is_open(self, now: datetime) -> bool:
        """Is anybody there? `now` is the shop's local time."""
        hours = self.opens_on(now.date())
        return hours is not None and hours[0] <= now.time() < hours[1]


def load_flows(folder: Path) -> Mapping[str, Flow]:
    """Every `*.yaml` of the folder by name. Raises FlowError with the problems of all files together."""
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise FlowError([f"{folder}: no flow files (*.yaml) here; point CALLBOARD_FLOWS_DIR at a folder with some"])
    flows: dict[str, Flow] = {}
    problems: list[str] = []
    for file in files:
        try:
            flow = load_flow(file)
        except FlowError as error:
            problems += [problem for problem in error.problems if problem not in problems]
            continue
        flows[flow.name] = flow
    if problems:
        raise FlowError(problems)
    return flows


def load_flow(file: Path) -> Flow:
    """Read and check one flow file. Raises FlowError."""
    data, lines = read(file, ())
    try:
        spec = FlowSpec.model_validate(data)
    except ValidationError as error:
        raise FlowError(problems_of(error, file, lines)) from error
    if spec.name != file.stem:
        raise FlowError([f"{place(lines, ('name',), file)}: name is {spec.name}, but the file is {file.name}"])
    flow = Flow(spec, source=str(file))
    flow.warm()
    return flow


def choose_flow(flows: Mapping[str, Flow], started: Started) -> str:
    """Which flow answers: a known customer's, that of a caller without a number, else the one for new callers. A call
    that we place has the flow of what it is about."""
    fitting = [name for name, flow in flows.items() if flow.spec.direction == started.direction]
    if started.direction == "outbound":
        about = {"items": "driver_check", "violations": "driver_check", "appointment": "outbound_reminder"}
        wanted = [flow for variable, flow in about.items() if variable in started.variables]
    elif started.customer:
        wanted = ["inbound_existing", "inbound_new"]
    else:
        wanted = ["inbound_new"] if started.caller_phone else ["inbound_general", "inbound_new"]
    return next((name for name in [*wanted, *fitting] if name in flows), next(iter(flows)))
