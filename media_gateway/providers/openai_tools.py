"""Tools as OpenAI's strict mode takes them, and what it makes of them back again. Pure.

Strict mode wants every parameter required: one that may be left out becomes one that may be null, and a null that comes
back for it means: left out. What the mode cannot check (lengths, defaults) the router checks.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from media_gateway.voice.ports import ToolRequest

if TYPE_CHECKING:  # the SDK's types; importing it costs a second of cold start
    from openai.types.chat import ChatCompletionToolUnionParam

_UNCHECKED = frozenset({"default", "minLength", "maxLength", "title", "uniqueItems"})
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
MOST_ID = 40


@dataclass(frozen=True, slots=True)
class StrictTool:
    """`param` is what is sent; of `optional` parameters a null means that they were left out."""

    source: Mapping[str, Any]
    param: ChatCompletionToolUnionParam
    optional: frozenset[str]


def strict(source: Mapping[str, Any]) -> StrictTool:
    """From a schema as the router gives it."""
    function = source["function"]
    parameters = function["parameters"]
    optional = frozenset(parameters.get("properties", ())) - frozenset(parameters.get("required", ()))
    made = {**function, "parameters": _strict(parameters), "strict": True}
    return StrictTool(source, cast("ChatCompletionToolUnionParam", {"type": "function", "function": made}), optional)


def _strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in schema.items() if name not in _UNCHECKED}
    for name in ("$defs", "properties"):
        if name in kept:
            kept[name] = {key: _strict(one) for key, one in kept[name].items()}
    if "items" in kept:
        kept["items"] = _strict(kept["items"])
    if "anyOf" in kept:
        kept["anyOf"] = [_strict(one) for one in kept["anyOf"]]
    if kept.get("type") == "object":
        properties = kept.setdefault("properties", {})
        required = kept.get("required", ())
        for name in properties:
            if name not in required:
                properties[name] = _nullable(properties[name])
        kept |= {"required": list(properties), "additionalProperties": False}
    return kept


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if any(one.get("type") == "null" for one in schema.get("anyOf", ())):
        return schema
    described = {"description": schema["description"]} if "description" in schema else {}
    return {"anyOf": [schema, {"type": "null"}], **described}


class StrictTools:
    """Made once for each tool, whoever asks for them."""

    def __init__(self) -> None:
        self._made: dict[str, StrictTool] = {}

    def of(self, schemas: Iterable[Mapping[str, Any]]) -> dict[str, StrictTool]:
        """By name, in this order."""
        found: dict[str, StrictTool] = {}
        for source in schemas:
            name = source["function"]["name"]
            made = self._made.get(name)
            if made is None or made.source is not source:
                made = self._made[name] = strict(source)
            found[name] = made
        return found


@dataclass(slots=True)
class Asking:
    """A tool call as it comes in: pieces of its arguments."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


def as_request(asking: Asking, offered: Mapping[str, StrictTool], taken: Sequence[str]) -> ToolRequest:
    """The call, or what is wrong with it; always with an id and a name that a history can hold."""
    call_id = asking.id
    if not 0 < len(call_id) <= MOST_ID or call_id in taken:
        call_id = f"call_{secrets.token_hex(12)}"
    name = asking.name if _NAME.fullmatch(asking.name) else re.sub(r"[^a-zA-Z0-9_-]", "_", asking.name)[:64] or "none"
    tool = offered.get(asking.name)
    if tool is None:
        return ToolRequest(call_id, name, {}, "there is no such tool here")
    try:
        arguments = json.loads("".join(asking.arguments) or "{}")
    except ValueError:
        return ToolRequest(call_id, name, {}, "the arguments are no JSON")
    if not isinstance(arguments, dict):
        return ToolRequest(call_id, name, {}, "the arguments are no JSON object")
    kept = {key: value for key, value in arguments.items() if value is not None or key not in tool.optional}
    return ToolRequest(call_id, name, kept)
