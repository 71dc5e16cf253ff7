"""From a typed function to a tool that a model may ask for.

To add a tool, write one file in this folder:

    @tool
    async def get_weather(context: ToolContext, day: Annotated[date, Field(description="which day")]) -> ToolResult:
        \"\"\"What the weather will be.\"\"\"

The docstring is what the model reads, the signature becomes the JSON schema, and the arguments are checked against it
before the function runs. What it wants changed it returns as `writes`.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import pkgutil
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, get_type_hints, overload

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

import media_gateway.tools
from media_gateway.tools.port import ToolContext, ToolResult
from media_gateway.tools.services import Services
from realtime.stores.port import Conflict, StoreUnavailable

log = structlog.get_logger(__name__)

DEADLINE_S = 3.0
MAX_RESULT = 4096
"""Characters of a result as JSON: more than that nobody can say aloud, and every turn pays for it."""
_NOT_TOOLS = {"port", "router", "services", "effects"}

ToolFunction = Callable[..., Awaitable[ToolResult]]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as the router knows it. `arguments` is the pydantic model of its parameters."""

    name: str
    description: str
    arguments: type[BaseModel]
    function: ToolFunction
    deadline_s: float = DEADLINE_S

    @property
    def schema(self) -> Mapping[str, Any]:
        """As Chat Completions take it; the same object every time."""
        return _schema(self)


@lru_cache(maxsize=256)
def _schema(of: Tool) -> Mapping[str, Any]:
    """Made once: every turn of every call asks for it."""
    parameters = of.arguments.model_json_schema()
    parameters.pop("title", None)
    for one in parameters.get("properties", {}).values():
        one.pop("title", None)
    return {"type": "function", "function": {"name": of.name, "description": of.description, "parameters": parameters}}


@overload
def tool(function: ToolFunction) -> Tool: ...
@overload
def tool(*, deadline_s: float) -> Callable[[ToolFunction], Tool]: ...
def tool(
    function: ToolFunction | None = None, *, deadline_s: float = DEADLINE_S
) -> Tool | Callable[[ToolFunction], Tool]:
    """Make a tool of an async function whose first parameter is the `ToolContext`. Raises TypeError for one that
    lacks a docstring or a type."""

    def made(wrapped: ToolFunction) -> Tool:
        return _tool(wrapped, deadline_s)

    return made if function is None else made(function)


def _tool(function: ToolFunction, deadline_s: float) -> Tool:
    name = function.__name__
    description = inspect.getdoc(function)
    if not description:
        raise TypeError(f"tool {name}: give it a docstring; it is what the model reads")
    hints = get_type_hints(function, include_extras=True)
    _, *parameters = inspect.signature(function).parameters.values()
    fields: dict[str, Any] = {}
    for one in parameters:
        if one.name not in hints:
            raise TypeError(f"tool {name}: parameter {one.name} has no type")
        fields[one.name] = (hints[one.name], ... if one.default is one.empty else one.default)
    model = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    return Tool(name, " ".join(description.split()), model, function, deadline_s)


def discover() -> list[Tool]:
    """Every tool of every file in this folder, by file and then as written."""
    found: list[Tool] = []
    for module in pkgutil.iter_modules(media_gateway.tools.__path__):
        if module.name not in _NOT_TOOLS:
            members = vars(importlib.import_module(f"media_gateway.tools.{module.name}"))
            found += [member for member in members.values() if isinstance(member, Tool)]
    return found


class Router:
    """The tools of an assistant by name. Without an argument: all there are. `services` are handed to every tool;
    without them, those of its context. Raises ValueError on a name used twice."""

    def __init__(self, tools: Iterable[Tool] | None = None, *, services: Services | None = None) -> None:
        self._tools: dict[str, Tool] = {}
        self._services = services
        for one in discover() if tools is None else tools:
            if one.name in self._tools:
                raise ValueError(f"two tools are called {one.name}; rename one")
            self._tools[one.name] = one

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._tools)

    def schemas(self, names: Sequence[str]) -> list[Mapping[str, Any]]:
        """What a model may be offered, in this order. Raises KeyError for a tool that there is not."""
        return [self._tools[name].schema for name in names]

    def problem(self, name: str, arguments: Mapping[str, Any]) -> str:
        """What is wrong with this call before it is made, for a model to mend; empty if nothing is."""
        if name not in self._tools:
            return "there is no such tool"
        try:
            self._tools[name].arguments.model_validate(dict(arguments))
        except ValidationError as error:
            return "; ".join(_say(error))
        return ""

    async def run(self, name: str, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Never raises for a tool's own failure: whatever goes wrong becomes a result that can be said aloud."""
        wanted = self._tools.get(name)
        if wanted is None:
            return _refusal("unknown_tool", "I am not able to do that.", known=list(self._tools))
        try:
            checked = wanted.arguments.model_validate(dict(arguments))
        except ValidationError as error:
            return _refusal("invalid_arguments", "Sorry, I did not get all the details right.", problems=_say(error))
        if self._services is not None:
            context = replace(context, services=self._services)
        values = {field: getattr(checked, field) for field in wanted.arguments.model_fields}
        try:
            async with asyncio.timeout(wanted.deadline_s):
                result = await wanted.function(context, **values)
        except TimeoutError:
            return self._failed(wanted, context, "timeout", "Sorry, that is taking too long right now.")
        except StoreUnavailable:
            return self._failed(wanted, context, "unavailable", "Sorry, I cannot reach our records right now.")
        except Exception as error:  # a tool's mistake must cost its caller one answer, not the call
            return self._failed(wanted, context, "failed", "Sorry, that did not work.", error)
        if len(json.dumps(dict(result.data))) > MAX_RESULT:
            return self._failed(wanted, context, "too_large", "Sorry, that is more than I can say on the phone.")
        return result

    def _failed(
        self, failed: Tool, context: ToolContext, reason: str, message: str, error: Exception | None = None
    ) -> ToolResult:
        """Logged by where it happened; not by what it said, which may hold a caller's data."""
        where = traceback.extract_tb(error.__traceback__)[-1] if error is not None else None
        log.error(
            "tool_failed",
            tool=failed.name,
            call_id=context.call_id,
            reason=reason,
            error=type(error).__name__ if error is not None else None,
            where=f"{where.filename}:{where.lineno}" if where is not None else None,
        )
        return _refusal(reason, message)


async def run_effect(
    router: Router,
    name: str,
    arguments: Mapping[str, Any],
    context: ToolContext,
    commit: Callable[[ToolResult], Awaitable[None]],
    tries: int = 5,
) -> ToolResult:
    """Run a tool and commit what it wants changed; on Conflict run it again, and it sees the state as it is. Raises
    what `commit` raises except Conflict."""
    for _ in range(tries):
        result = await router.run(name, arguments, context)
        try:
            await commit(result)
        except Conflict:
            continue
        return result
    return _refusal("conflict", "Sorry, somebody else was faster. Let us try again.")


def _refusal(reason: str, message: str, **more: Any) -> ToolResult:
    return ToolResult(ok=False, data={"reason": reason, "message": message, **more})


def _say(error: ValidationError) -> list[str]:
    """For the model to mend: `date: Input should be a valid date`."""
    return [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False)]
