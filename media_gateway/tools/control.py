"""What ends the assistant's part: to a person, or goodbye. The conversation acts on the result; whom it rings is
configuration, never the model's choice."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from media_gateway.tools.port import ToolContext, ToolResult
from media_gateway.tools.router import tool

TransferReason = Literal["manager_request", "anger", "repeated_misunderstanding", "policy", "tool_failed", "other"]


@tool
async def transfer_to_human(
    context: ToolContext,
    reason: Annotated[TransferReason, Field(description="why a person is needed")],
) -> ToolResult:
    """Connect the caller with a person. Use it when they ask for one, are upset, or you cannot help."""
    return ToolResult(ok=True, data={"next": "handoff", "reason": reason})


@tool
async def end_call(context: ToolContext) -> ToolResult:
    """Hang up, after the goodbye has been said. Only when the caller has nothing more to ask."""
    return ToolResult(ok=True, data={"next": "hangup"})
