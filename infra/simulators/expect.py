"""What should have come of a call. The phone judges only what it can see (`line_failures`); whoever has the journal
and the store judges the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.simulators.fields import Fields, ScenarioError
from infra.simulators.report import CallReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    """A booking that should be in the store. `preferred_date` is `YYYY-MM-DD`, `today`, `tomorrow` or a weekday;
    `preferred_time` is `HH:MM`; None: any."""

    service_type: str | None = None
    preferred_date: str | None = None
    preferred_time: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """`status`: of the call's record at its end. `said`: texts the assistant said, in this order, case and punctuation
    aside. `heard`: texts the recogniser made of the caller, likewise. `tools`: tools that ran, in this order (others
    may run too). `no_tools`: tools that must not have run. `appointment`: None: none looked for; `no_appointment`:
    there must be none. `escalation`: whether a human was asked for, and `reason` why. `interrupted`: whether the
    assistant was really interrupted (an `interruption` in the journal). `intent`, `digits`: what was found. `flow`:
    which one served the call; `answered_by`: human or voicemail; `slots`: collected, among others. `ended_by`: any of
    these (of `report.EndedBy`; empty: any). `clears`: the fewest and most clears. `violations`: how many are put up
    with."""

    status: str = "completed"
    said: tuple[str, ...] = ()
    heard: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    no_tools: tuple[str, ...] = ()
    appointment: Appointment | None = None
    no_appointment: bool = False
    escalation: bool | None = None
    interrupted: bool | None = None
    intent: str | None = None
    digits: str | None = None
    flow: str | None = None
    reason: str | None = None
    answered_by: str | None = None
    slots: Mapping[str, str] = field(default_factory=dict)
    ended_by: tuple[str, ...] = ()
    clears: tuple[int, int] | None = None
    violations: int = 0


def parse_expect(data: object, where: str) -> Expect:
    """The typed expectations. Raises ScenarioError."""
    fields = Fields(data, where)
    expect = Expect(
        status=fields.text("status", "completed"),
        said=fields.texts("said"),
        heard=fields.texts("heard"),
        tools=fields.texts("tools"),
        no_tools=fields.texts("no_tools"),
        appointment=_appointment(fields.take("appointment", None), f"{where}: appointment"),
        no_appointment=fields.flag("no_appointment", False),
        escalation=fields.optional_flag("escalation"),
        interrupted=fields.optional_flag("interrupted"),
        intent=fields.optional_text("intent"),
        digits=fields.optional_text("digits"),
        flow=fields.optional_text("flow"),
        reason=fields.optional_text("reason"),
        answered_by=fields.optional_text("answered_by"),
        slots=_slots(fields.take("slots", {}), where),
        ended_by=fields.texts("ended_by"),
        clears=_range(fields.take("clears", None), f"{where}: clears"),
        violations=fields.whole("violations", 0),
    )
    fields.done()
    return expect


def line_failures(expect: Expect, report: CallReport) -> list[str]:
    """What the phone itself saw that was not as expected; empty when all was."""
    failures: list[str] = []
    if len(report.violations) > expect.violations:
        failures += [f"Twilio would not take this: {violation}" for violation in report.violations]
    if expect.ended_by and report.ended_by not in expect.ended_by:
        why = f" ({report.problem})" if report.problem else ""
        failures.append(f"the call ended by {report.ended_by}{why}, expected {' or '.join(expect.ended_by)}")
    if expect.clears is not None and not expect.clears[0] <= len(report.clears) <= expect.clears[1]:
        low, high = expect.clears
        failures.append(f"{len(report.clears)} clears, expected {low} to {high}")
    if report.steps_done < report.steps_total:
        failures.append(f"the caller came to step {report.steps_done} of {report.steps_total}")
    return failures


def _appointment(data: object, where: str) -> Appointment | None:
    if data is None:
        return None
    fields = Fields(data, where)
    appointment = Appointment(
        service_type=fields.optional_text("service_type"),
        preferred_date=fields.optional_text("preferred_date"),
        preferred_time=fields.optional_text("preferred_time"),
    )
    fields.done()
    return appointment


def _slots(data: object, where: str) -> Mapping[str, str]:
    if not isinstance(data, Mapping) or not all(isinstance(value, str) for value in data.values()):
        raise ScenarioError(f"{where}: slots is a mapping of texts (in quotes), not {data!r}")
    return {str(name): value for name, value in data.items()}


def _range(data: object, where: str) -> tuple[int, int] | None:
    if data is None:
        return None
    fields = Fields(data, where)
    bounds = fields.whole("min", 0), fields.whole("max", 1_000_000)
    fields.done()
    return bounds
