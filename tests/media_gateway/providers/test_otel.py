"""Calls as OpenTelemetry traces and metrics: one trace a call, times that lie in each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from media_gateway.providers.otel import OpenTelemetry
from media_gateway.voice.ports import Engines

STAGES = {"endpointing": 300, "thinking": 400, "clause": 50, "voicing": 200, "sending": 1, "playing": 120}
TURN = {
    "turn": 3,
    "stages": STAGES,
    "total_ms": sum(STAGES.values()),
    "tokens": {"prompt": 900, "completion": 40, "cached": 800},
    "cost": {"usd": 0.002},
}


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


class Collected:
    def __init__(self) -> None:
        self.spans, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        engines = Engines(*(cast(Any, Named(name)) for name in ("deepgram", "openai", "elevenlabs")))
        self.telemetry = OpenTelemetry(
            engines, version="1", model="a-model", lag_ms=lambda: 7.0, spans=self.spans, reader=self.reader
        )

    def points(self) -> dict[str, list[Any]]:
        data = self.reader.get_metrics_data()
        assert data
        metrics = [one for each in data.resource_metrics for scope in each.scope_metrics for one in scope.metrics]
        return {metric.name: list(metric.data.data_points) for metric in metrics}

    def finished(self) -> dict[str, ReadableSpan]:
        self.telemetry.close()
        return {span.name: span for span in self.spans.get_finished_spans()}


@pytest.fixture
def collected() -> Iterator[Collected]:
    found = Collected()
    yield found
    found.telemetry.close()


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    return span.attributes or {}


def test_one_trace_a_call(collected: Collected) -> None:
    telemetry = collected.telemetry
    telemetry.began("CA1", "booking", "inbound")
    telemetry.turn("CA1", TURN)
    telemetry.fault("CA1", "speaking", "deepgram", "timeout")
    telemetry.ended("CA1", "caller")
    spans = collected.finished()
    assert set(spans) == {"call", "turn", "chat a-model"}
    call, turn, chat = spans["call"], spans["turn"], spans["chat a-model"]
    assert {span.context.trace_id for span in spans.values()} == {call.context.trace_id}
    assert (turn.parent and turn.parent.span_id, chat.parent and chat.parent.span_id) == (
        call.context.span_id,
        turn.context.span_id,
    )
    assert turn.start_time
    assert turn.end_time
    assert chat.start_time
    assert chat.end_time
    assert turn.start_time <= chat.start_time <= chat.end_time <= turn.end_time
    assert turn.end_time - turn.start_time == TURN["total_ms"] * 1_000_000  # type: ignore[operator]
    assert chat.end_time - chat.start_time == 450 * 1_000_000
    assert attributes(chat)["gen_ai.usage.input_tokens"] == 900
    assert attributes(chat)["gen_ai.operation.name"] == "chat"
    assert attributes(call)["callboard.ending"] == "caller"
    assert [event.name for event in call.events] == ["provider_fault"]


def test_the_metrics(collected: Collected) -> None:
    telemetry = collected.telemetry
    telemetry.began("CA1", "booking", "inbound")
    telemetry.turn("CA1", TURN)
    points = collected.points()
    stages = {point.attributes["stage"]: point.sum for point in points["callboard.turn.stage.duration"]}
    assert stages == {name: pytest.approx(ms / 1_000) for name, ms in STAGES.items()}
    assert [point.sum for point in points["gen_ai.client.token.usage"]] == [900, 40]
    assert points["callboard.loop.lag"][0].value == 7.0
    assert points["callboard.calls.active"][0].value == 1
    assert points["callboard.cost"][0].value == pytest.approx(0.002)
    telemetry.ended("CA1", "hangup")
    points = collected.points()
    assert points["callboard.calls.active"][0].value == 0
    assert points["callboard.calls.ended"][0].attributes == {"ending": "hangup"}


def test_a_turn_that_was_cut_short_and_a_call_nobody_knows(collected: Collected) -> None:
    telemetry = collected.telemetry
    nothing = {"prompt": 0, "completion": 0, "cached": 0}
    telemetry.turn("CA404", TURN)
    telemetry.ended("CA404", "lost")
    telemetry.began("CA1", "booking", "inbound")
    telemetry.turn("CA1", {"turn": 1, "stages": {"endpointing": 0}, "total_ms": 0, "tokens": nothing})
    assert "callboard.turn.duration" not in collected.points()
    telemetry.ended("CA1", "caller")
    assert set(collected.finished()) == {"call", "turn"}
