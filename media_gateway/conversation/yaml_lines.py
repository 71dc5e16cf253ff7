"""Reading YAML so that every mistake can be named with its file and line."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

Path_ = tuple[str | int, ...]


class FlowError(Exception):
    """A flow file is wrong. `problems` are lines "file:line: what is wrong", in the file's order."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


Lines = dict[Path_, tuple[str, int]]


class _Loader(yaml.SafeLoader):
    """YAML in which `yes`, `no`, `on` and `off` are words: people write them as examples of what callers say."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def read(file: Path, seen: tuple[Path, ...]) -> tuple[Any, Lines]:
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
    base, base_lines = read(source, (*seen, file))
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


def problems_of(error: ValidationError, file: Path, lines: Lines) -> list[str]:
    found = [
        (place(lines, tuple(one["loc"]), file), ".".join(map(str, one["loc"])) or "flow", _mistake(one))
        for one in error.errors()
    ]
    return [f"{where}: {what}: {mistake}" for where, what, mistake in sorted(found, key=lambda one: _order(one[0]))]


def _mistake(one: ErrorDetails) -> str:
    """What is wrong and, where it is a common slip of YAML, how to mend it."""
    message = one["msg"].removeprefix("Value error, ")
    if one["type"] == "string_type":
        hint = "a colon makes it a mapping; " if isinstance(one["input"], dict) else ""
        return f"{message}: {hint}put the text in quotes"
    if one["type"] == "extra_forbidden":
        return "there is no such setting here"
    return message


def _order(where: str) -> tuple[str, int]:
    file, _, line = where.rpartition(":")
    return file, int(line)


def place(lines: Lines, path: Path_, file: Path) -> str:
    """file:line of the value, or of the nearest thing around it that is in the file."""
    while path and path not in lines:
        path = path[:-1]
    name, line = lines.get(path, (str(file), 1))
    return f"{name}:{line}"
