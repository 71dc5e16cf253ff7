from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from infra.simulators.expect import Expect, line_failures
from infra.simulators.recorder import Violation
from infra.simulators.report import CallReport, ClearSeen

REPORT = CallReport(
    call_sid="CA1",
    account_sid="AC1",
    caller="+1",
    called="+2",
    scenario="s",
    ended_by="caller",
    problem=None,
    status="completed",
    duration_ms=1,
    steps_done=2,
    steps_total=2,
    twiml=(),
    streams=(),
    marks=(),
    clears=(ClearSeen(0, 1.0, 0.0, (), None),),
    heard=(),
    spoken=(),
    dials=(),
    violations=(),
    timeline=(),
    wav=None,
)


def test_nothing_wrong() -> None:
    assert line_failures(Expect(ended_by=("gateway", "caller"), clears=(1, 1)), REPORT) == []
    assert line_failures(Expect(), REPORT) == []


@pytest.mark.parametrize(
    ("expect", "change", "what"),
    [
        (Expect(ended_by=("gateway",)), {}, "the call ended by caller, expected gateway"),
        (Expect(ended_by=("gateway",)), {"ended_by": "deadline", "problem": "too long"}, r"deadline \(too long\)"),
        (Expect(clears=(2, 9)), {}, "1 clears, expected 2 to 9"),
        (Expect(clears=(0, 0)), {}, "1 clears, expected 0 to 0"),
        (Expect(), {"steps_done": 1}, "step 1 of 2"),
        (Expect(), {"violations": (Violation(31951, "bad"),)}, r"would not take this: \[31951\]"),
    ],
)
def test_each_shortfall_is_named(expect: Expect, change: dict[str, Any], what: str) -> None:
    (failure,) = line_failures(expect, replace(REPORT, **change))
    assert re.search(what, failure)
