"""A small brain for whole calls on the simulated model: it does what its instructions say. It speaks the line that they
give it, asks once a turn for the tools that they tell it to, and fills whatever JSON schema is wanted. Pure.

It understands, anywhere in the system prompt or the last line of the caller:

    Now say, in your own words: "..."        said as it stands
    Ask for the tool NAME with {...}.        asked for, if it is offered and nothing was answered to it in this turn
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from infra.simulators.openai_reply import Call, Reply

_SAY = re.compile(r'Now say, in your own words: (".*")')
_ASK = re.compile(r"Ask for the tool (\w+) with (\{.*?\})\.")
LOST = "How can I help you?"


def think(request: Mapping[str, Any]) -> Reply:
    """The answer to a request."""
    wanted = request.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        return Reply(text=json.dumps(instance(wanted["json_schema"]["schema"])))
    messages = request["messages"]
    system = "\n".join(text_of(one) for one in messages if one["role"] in ("system", "developer"))
    spoken = text_of(messages[-1]) if messages[-1]["role"] == "user" else ""
    calls = _calls(request, system, spoken) if messages[-1]["role"] != "tool" else ()
    return Reply(text="" if calls else _line(system), calls=calls)


def _calls(request: Mapping[str, Any], system: str, spoken: str) -> tuple[Call, ...]:
    offered = {tool["function"]["name"] for tool in request.get("tools") or ()}
    asked = [*_ASK.findall(system), *_ASK.findall(spoken)]
    return tuple(Call(name=name, arguments=arguments) for name, arguments in asked if name in offered)


def _line(system: str) -> str:
    found = _SAY.findall(system)
    if not found:
        return "" if "Now wait for the tool's result." in system else LOST
    said = json.loads(found[-1])
    return said if isinstance(said, str) else LOST


def text_of(message: Mapping[str, Any]) -> str:
    """The words of a message, whichever way they are written."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return content or ""


def instance(schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> Any:
    """The plainest value that a strict schema allows."""
    root = root or schema
    if "$ref" in schema:
        return instance(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    if "anyOf" in schema:
        return instance(schema["anyOf"][-1], root)
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: instance(one, root) for name, one in schema.get("properties", {}).items()}
    if kind == "array":
        return [instance(schema["items"], root)] * schema.get("minItems", 0)
    plain: Mapping[str | None, Any] = {"string": "", "boolean": False, "null": None}
    return plain.get(kind, schema.get("minimum", 0))
