"""The flows that come with Callboard, and what every flow is held to beyond its own file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from media_gateway.conversation.flow import Flow, FlowError

FLOWS = Path(__file__).parent / "flows"


def check_tools(flows: Mapping[str, Flow], names: Collection[str]) -> None:
    """Raises FlowError for a flow that names a tool that there is not."""
    unknown = [
        (name, one)
        for name, flow in flows.items()
        for one in (*flow.spec.tools, *flow.spec.approval)
        if one not in names
    ]
    if unknown:
        there_are = ", ".join(sorted(names))
        raise FlowError(
            [f"flow {flow}: tools, approval: there is no {one}; there are: {there_are}" for flow, one in unknown]
        )
