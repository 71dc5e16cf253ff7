"""What the caller does on a call, and what should come of it, as YAML. See `scenarios/*.yaml`.

    caller: "+14155550123"          who calls (E.164; optional)
    voice: rms                      the voice of the clips (optional)
    quiet_ms: 900                   silence that means "the assistant has finished" (optional)
    step_timeout_s: 45              how long any `when` may take to come true (optional)
    deadline_s: 90                  the whole call (optional)
    steps:
      - {say: need_oil_change, when: after_assistant}
      - {say: wait_stop, when: {over: {after_ms: 800}}}
      - {press: "1", when: after_assistant}
      - {silence_ms: 3000}
      - {wait: after_assistant}     only wait; or {wait: stream_end}: until the gateway closes the stream
      - {hangup: true}              the caller hangs up
      - {cut: true}                 the socket is dropped, with no `stop`
      - {raw: "not json"}           this text goes out as a WebSocket message: a broken peer
      - {type: "my vin is ..."}     typed instead of said (a system that runs as `dev` takes it)
      - {meanwhile: take_slot}      something happens outside the call; whoever runs the scenario knows what
    expect: ...                     see `Expect`
    has_appointment: {...}          what the caller has booked before (see `placing.Standing`)
    placed: {...}                   it is Callboard that calls, and the caller is rung (see `placing.Placing`)

`when` is `at_once` unless said otherwise. After the last step the caller stays on the line, silent, until the gateway
ends the call or the deadline comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from infra.simulators.expect import Expect, parse_expect
from infra.simulators.fields import Fields, ScenarioError
from infra.simulators.placing import Placing, Standing, parse_placing, parse_standing

FOLDER = Path(__file__).parent / "scenarios"
DIGITS = frozenset("0123456789*#")
VERBS = ("say", "press", "silence_ms", "wait", "hangup", "cut", "raw", "type", "meanwhile")
STEP_TIMEOUT_S = 45.0
"""A customer who is known is greeted for 18 s before they can say a word."""
DEADLINE_S = 150.0


@dataclass(frozen=True, slots=True)
class AtOnce:
    """Do not wait."""


@dataclass(frozen=True, slots=True)
class AfterAssistant:
    """When the assistant has said something since the caller last spoke or pressed a key, and has since been silent,
    with nothing left to play, for `quiet_ms`."""

    quiet_ms: int


@dataclass(frozen=True, slots=True)
class Over:
    """In the middle of the assistant's speech: when it has been heard for `after_ms` since the caller last acted."""

    after_ms: int


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """When the gateway has closed the stream."""


When = AtOnce | AfterAssistant | Over | StreamEnd


@dataclass(frozen=True, slots=True)
class Say:
    """Say a clip (its name in the voice's folder, or in `PhoneConfig.clips`)."""

    clip: str


@dataclass(frozen=True, slots=True)
class Press:
    """Press these keys."""

    digits: str


@dataclass(frozen=True, slots=True)
class Silence:
    """Say nothing for so long, whatever the assistant does."""

    ms: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing but wait for the step's `when`."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Hang up: `stop`, the socket closed, `completed`."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Drop the TCP connection with no `stop` and no close frame. With `resume`, Twilio goes on with the TwiML behind
    the stream, as after a stream that the gateway closed; else the call is over."""

    resume: bool = False


@dataclass(frozen=True, slots=True)
class Raw:
    """Send this text as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Aside:
    """Something that does not go over the telephone: `PhoneConfig.aside` does it. `what` is `type` (`detail` is the
    text) or `meanwhile` (`detail` names what happens)."""

    what: Literal["type", "meanwhile"]
    detail: str


Action = Say | Press | Silence | Wait | HangUp | Cut | Raw | Aside


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the caller does, and when."""

    action: Action
    when: When = field(default_factory=AtOnce)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A caller's part of a call."""

    name: str
    steps: tuple[Step, ...]
    description: str = ""
    caller: str = "+14155550123"
    voice: str = "rms"
    step_timeout_s: float = STEP_TIMEOUT_S
    deadline_s: float = DEADLINE_S
    expect: Expect = field(default_factory=Expect)
    standing: Standing | None = None
    placed: Placing | None = None


def load_scenario(name_or_path: str | Path) -> Scenario:
    """A scenario of this folder by name, or any YAML file by path. Raises ScenarioError with what is wrong where."""
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = FOLDER / f"{name_or_path}.yaml"
    if not path.is_file():
        raise ScenarioError(f"no scenario {str(name_or_path)!r}; there are: {', '.join(scenario_names())}")
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path.name} is not YAML: {error}") from error
    return parse_scenario(data, name=path.stem)


def scenario_names() -> list[str]:
    """The scenarios of this folder."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def parse_scenario(data: object, *, name: str) -> Scenario:
    """The typed scenario. Raises ScenarioError."""
    top = Fields(data, name)
    quiet_ms = top.whole("quiet_ms", 900)
    steps = tuple(_step(Fields(step, f"{name}: steps[{at}]"), quiet_ms) for at, step in enumerate(top.items("steps")))
    scenario = Scenario(
        name=name,
        steps=steps,
        description=top.text("description", ""),
        caller=top.text("caller", "+14155550123"),
        voice=top.text("voice", "rms"),
        step_timeout_s=top.number("step_timeout_s", STEP_TIMEOUT_S),
        deadline_s=top.number("deadline_s", DEADLINE_S),
        expect=parse_expect(top.take("expect", {}), f"{name}: expect"),
        standing=parse_standing(top.take("has_appointment", None), f"{name}: has_appointment"),
        placed=parse_placing(top.take("placed", None), f"{name}: placed"),
    )
    top.done()
    return scenario


def _step(step: Fields, quiet_ms: int) -> Step:
    verbs = [verb for verb in VERBS if verb in step]
    if len(verbs) != 1:
        raise ScenarioError(f"{step.where}: exactly one of {', '.join(VERBS)}")
    if verbs == ["wait"]:
        return _finished(step, Step(Wait(), _when(step.take("wait"), step.where, quiet_ms)))
    when = _when(step.take("when", "at_once"), step.where, quiet_ms)
    if isinstance(when, StreamEnd):
        raise ScenarioError(f"{step.where}: nothing can be done once the stream has ended; use wait: stream_end")
    return _finished(step, Step(_action(step, verbs[0]), when))


def _finished(fields: Fields, step: Step) -> Step:
    fields.done()
    return step


def _action(step: Fields, verb: str) -> Action:
    match verb:
        case "say":
            return Say(step.text("say"))
        case "press":
            digits = step.text("press")
            if not digits or set(digits) - DIGITS:
                raise ScenarioError(f"{step.where}: press takes keys 0-9 * # in quotes, not {digits!r}")
            return Press(digits)
        case "silence_ms":
            return Silence(step.whole("silence_ms"))
        case "raw":
            return Raw(step.text("raw"))
        case "type" | "meanwhile":
            return Aside(verb, step.text(verb))
        case "hangup":
            step.must_be_true("hangup")
            return HangUp()
    if isinstance(step.peek("cut"), Mapping):
        how = Fields(step.take("cut"), f"{step.where}: cut")
        cut = Cut(resume=how.flag("resume", False))
        how.done()
        return cut
    step.must_be_true("cut")
    return Cut()


def _when(value: Any, where: str, quiet_ms: int) -> When:
    if value == "at_once":
        return AtOnce()
    if value == "stream_end":
        return StreamEnd()
    if value == "after_assistant":
        return AfterAssistant(quiet_ms)
    if isinstance(value, Mapping) and len(value) == 1:
        (kind, detail), *_ = value.items()
        inner = Fields(detail, f"{where}: {kind}")
        when: When | None = None
        if kind == "over":
            when = Over(inner.whole("after_ms"))
        elif kind == "after_assistant":
            when = AfterAssistant(inner.whole("quiet_ms", quiet_ms))
        if when is not None:
            inner.done()
            return when
    raise ScenarioError(
        f"{where}: when is at_once, after_assistant, stream_end, {{after_assistant: {{quiet_ms: N}}}} or "
        f"{{over: {{after_ms: N}}}}, not {value!r}"
    )
