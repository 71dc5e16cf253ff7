"""A call that Callboard places, as a scenario tells it: what is asked of `POST /api/v1/calls`, and who answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from infra.simulators.fields import Fields, ScenarioError

AnsweredBy = Literal["human", "machine", "nobody", "busy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """`flow` and `variables` go into the request; the scenario's `caller` is the number. `answered_by` human: somebody
    who does the scenario's steps; machine: it says the steps' lines and then records, `verdict_after_s` after the
    answer; nobody, busy: there is no conversation. A standing appointment is among the variables."""

    flow: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    answered_by: AnsweredBy = "human"
    verdict_after_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An appointment that the caller has before the call: at `time` (HH:MM) of the next day that is open."""

    service_type: str = "oil_change"
    time: str = "14:00"


def parse_placing(data: object, where: str) -> Placing | None:
    """Raises ScenarioError."""
    if data is None:
        return None
    fields = Fields(data, where)
    variables = fields.take("variables", {})
    if not isinstance(variables, Mapping):
        raise ScenarioError(f"{where}: variables is a mapping, not {variables!r}")
    answered_by = fields.text("answered_by", "human")
    if answered_by not in get_args(AnsweredBy):
        raise ScenarioError(f"{where}: answered_by is one of {', '.join(get_args(AnsweredBy))}, not {answered_by!r}")
    placing = Placing(
        flow=fields.text("flow"),
        variables=variables,
        answered_by=cast(AnsweredBy, answered_by),
        verdict_after_s=fields.number("verdict_after_s", 1.0),
    )
    fields.done()
    return placing


def parse_standing(data: object, where: str) -> Standing | None:
    """Raises ScenarioError."""
    if data is None:
        return None
    fields = Fields(data, where)
    standing = Standing(service_type=fields.text("service_type", "oil_change"), time=fields.text("time", "14:00"))
    fields.done()
    return standing
