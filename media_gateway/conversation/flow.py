"""A flow is one YAML file: what a shop's assistant says, asks and knows. Read, checked, and made ready for the manager.

Every mistake in a file is reported with its file and line, all of them at once (`FlowError`). `extends: other` takes
another flow of the same folder and changes only what the file itself says (mappings are merged, lists replaced).
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime, time
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from media_gateway.conversation.dates import Hours
from media_gateway.conversation.model import ListeningProfile, Started
from media_gateway.conversation.phrases import phrases
from media_gateway.conversation.schema import FlowSpec, Listening, Service
from media_gateway.conversation.understand import Ear

SHIPPED = Path(__file__).parent / "flows"
Path_ = tuple[str | int, ...]


class FlowError(Exception):
    """A flow file is wrong. `problems` are lines "file:line: what is wrong", in the file's order."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


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
    data, lines = _read(file, ())
    try:
        spec = FlowSpec.model_validate(data)
    except ValidationError as error:
        raise FlowError(_problems(error, file, lines)) from error
    if spec.name != file.stem:
        raise FlowError([f"{_place(lines, ('name',), file)}: name is {spec.name}, but the file is {file.name}"])
    flow = Flow(spec, source=str(file))
    flow.warm()
    return flow


def choose_flow(flows: Mapping[str, Flow], started: Started) -> str:
    """Which flow answers: a known customer's, that of a caller without a number, else the one for new callers."""
    if started.customer and "inbound_existing" in flows:
        return "inbound_existing"
    if not started.caller_phone and "inbound_general" in flows:
        return "inbound_general"
    return "inbound_new" if "inbound_new" in flows else next(iter(flows))


# --- reading YAML with its lines -------------------------------------------------------------------------------------

Lines = dict[Path_, tuple[str, int]]


class _Loader(yaml.SafeLoader):
    """YAML in which `yes`, `no`, `on` and `off` are words: people write them as examples of what callers say."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def _read(file: Path, seen: tuple[Path, ...]) -> tuple[Any, Lines]:
    """The file's data with what it extends, and where each value stands."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FlowError([f"{file}: cannot be read: {error}"]) from error
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        lines: Lines = {}
        data = _value(loader, node, (), lines, file) if node is not None else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FlowError([f"{file}:{line}: {error.problem}"]) from error
    except yaml.YAMLError as error:
        raise FlowError([f"{file}: {error}"]) from error
    finally:
        loader.dispose()
    if not isinstance(data, dict):
        raise FlowError([f"{file}:1: a flow is a mapping (name:, shop:, greeting:, ...)"])
    parent = data.pop("extends", None)
    if parent is None:
        return data, lines
    source = file.with_name(f"{parent}.yaml") if re.fullmatch(r"[a-z][a-z0-9_]*", str(parent)) else file.parent
    if source in (*seen, file) or not source.is_file():
        where = f"{file}:{lines[('extends',)][1]}"
        raise FlowError(
            [f"{where}: extends: {parent}: " + ("in a circle" if source.is_file() else "no such flow here")]
        )
    base, base_lines = _read(source, (*seen, file))
    return _merged(base, data), {**base_lines, **lines}


def _value(loader: _Loader, node: yaml.Node, path: Path_, lines: Lines, file: Path) -> Any:
    lines[path] = (str(file), node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        result: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = str(getattr(key_node, "value", ""))
            if key in result:
                raise yaml.MarkedYAMLError(problem=f"{key} is given twice", problem_mark=key_node.start_mark)
            result[key] = _value(loader, value_node, (*path, key), lines, file)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, item, (*path, index), lines, file) for index, item in enumerate(node.value)]
    return loader.construct_object(node)


def _merged(base: Any, changes: Any) -> Any:
    if isinstance(base, dict) and isinstance(changes, dict):
        return {**base, **{key: _merged(base.get(key), value) for key, value in changes.items()}}
    return changes


def _problems(error: ValidationError, file: Path, lines: Lines) -> list[str]:
    found = [
        (_place(lines, tuple(one["loc"]), file), ".".join(map(str, one["loc"])) or "flow", _mistake(one))
        for one in error.errors()
    ]
    return [f"{place}: {what}: {mistake}" for place, what, mistake in sorted(found, key=lambda one: _order(one[0]))]


def _mistake(one: ErrorDetails) -> str:
    """What is wrong and, where it is a common slip of YAML, how to mend it."""
    message = one["msg"].removeprefix("Value error, ")
    if one["type"] == "string_type":
        hint = "a colon makes it a mapping; " if isinstance(one["input"], dict) else ""
        return f"{message}: {hint}put the text in quotes"
    if one["type"] == "extra_forbidden":
        return "there is no such setting here"
    return message


def _order(place: str) -> tuple[str, int]:
    file, _, line = place.rpartition(":")
    return file, int(line)


def _place(lines: Lines, path: Path_, file: Path) -> str:
    """file:line of the value, or of the nearest thing around it that is in the file."""
    while path and path not in lines:
        path = path[:-1]
    name, line = lines.get(path, (str(file), 1))
    return f"{name}:{line}"
