"""Calls as OpenTelemetry metrics and traces, over OTLP. Only where OTEL_EXPORTER_OTLP_ENDPOINT is set; the SDK reads
that and its other variables itself, and sends from threads of its own. No transcript, number or name is in any of it.

One trace a call: `call`, in it a `turn` for each turn, in that a `chat` span with the attributes of the GenAI semantic
conventions. Times are reckoned back from the end of the turn, which is when a turn is told.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import set_span_in_context

from media_gateway.voice.ports import Engines

log = structlog.get_logger()
_MS = 1_000_000
_THINKING = ("thinking", "clause")
"""The stages in which a model works."""


@dataclass(slots=True)
class _Call:
    span: Span
    flow: str


class OpenTelemetry:
    """Satisfies `voice.telemetry.Telemetry`. `lag_ms` is the event loop's, asked when metrics are collected."""

    def __init__(
        self,
        engines: Engines,
        *,
        version: str,
        model: str,
        lag_ms: Any = lambda: 0.0,
        spans: SpanExporter | None = None,
        reader: MetricReader | None = None,
    ) -> None:
        resource = Resource.create({"service.name": "callboard", "service.version": version})
        self._traces = TracerProvider(resource=resource)
        self._traces.add_span_processor(BatchSpanProcessor(spans or OTLPSpanExporter()))
        self._metrics = MeterProvider([reader or PeriodicExportingMetricReader(OTLPMetricExporter())], resource)
        self._tracer = self._traces.get_tracer("callboard")
        meter = self._metrics.get_meter("callboard")
        self._stages = meter.create_histogram("callboard.turn.stage.duration", "s", "a stage of a turn")
        self._whole = meter.create_histogram("callboard.turn.duration", "s", "from the caller's last word to ours")
        self._tokens = meter.create_histogram("gen_ai.client.token.usage", "{token}", "tokens of a turn")
        self._thought = meter.create_histogram("gen_ai.client.operation.duration", "s", "the model's part of a turn")
        self._faults = meter.create_counter("callboard.provider.faults", "{fault}", "what providers did not do")
        self._cost = meter.create_counter("callboard.cost", "USD", "the vendors' part, at list prices")
        self._ended = meter.create_counter("callboard.calls.ended", "{call}", "calls that ended, by how")
        meter.create_observable_gauge("callboard.calls.active", [lambda _: [Observation(len(self._calls))]])
        meter.create_observable_gauge("callboard.loop.lag", [_observed(lag_ms)], "ms", "how late the event loop wakes")
        self._chat = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": engines.mind.name,
            "gen_ai.request.model": model,
        }
        self._calls: dict[str, _Call] = {}

    def began(self, call_id: str, flow: str, direction: str) -> None:
        """See the port."""
        attributes = {"callboard.call.id": call_id, "callboard.flow": flow, "callboard.direction": direction}
        span = self._tracer.start_span("call", attributes=attributes)
        if isinstance(span, Span):
            self._calls[call_id] = _Call(span, flow)

    def turn(self, call_id: str, metrics: Mapping[str, Any]) -> None:
        """See the port."""
        call = self._calls.get(call_id)
        if call is None:
            return
        stages: Mapping[str, int] = metrics["stages"]
        tokens: Mapping[str, int] = metrics["tokens"]
        for name, ms in stages.items():
            self._stages.record(ms / 1_000, {"stage": name, "callboard.flow": call.flow})
        if "playing" in stages:  # a turn that was cut short says nothing of the whole
            self._whole.record(metrics["total_ms"] / 1_000, {"callboard.flow": call.flow})
        self._cost.add(metrics.get("cost", {}).get("usd", 0.0), {"callboard.flow": call.flow})
        used = {"gen_ai.usage.input_tokens": tokens["prompt"], "gen_ai.usage.output_tokens": tokens["completion"]}
        for kind, name in (("input", "prompt"), ("output", "completion")):
            if tokens[name]:
                self._tokens.record(tokens[name], {**self._chat, "gen_ai.token.type": kind})
        self._spans(call, metrics["turn"], stages, used)

    def _spans(self, call: _Call, turn: int, stages: Mapping[str, int], used: Mapping[str, int]) -> None:
        begin = time.time_ns() - sum(stages.values()) * _MS
        attributes = {"callboard.turn": turn, **{f"callboard.stage.{name}_ms": ms for name, ms in stages.items()}}
        parent = set_span_in_context(call.span)
        span = self._tracer.start_span("turn", parent, attributes=attributes, start_time=begin)
        thinking = sum(stages.get(name, 0) for name in _THINKING)
        if used["gen_ai.usage.input_tokens"]:
            self._thought.record(thinking / 1_000, self._chat)
            at = begin + stages.get("endpointing", 0) * _MS
            name = f"chat {self._chat['gen_ai.request.model']}"
            inside = set_span_in_context(span)
            chat = self._tracer.start_span(name, inside, attributes={**self._chat, **used}, start_time=at)
            chat.end(at + thinking * _MS)
        span.end(begin + sum(stages.values()) * _MS)

    def fault(self, call_id: str, stage: str, provider: str, kind: str) -> None:
        """See the port."""
        self._faults.add(1, {"stage": stage, "provider": provider, "error.type": kind})
        call = self._calls.get(call_id)
        if call:
            call.span.add_event("provider_fault", {"stage": stage, "provider": provider, "error.type": kind})

    def ended(self, call_id: str, ending: str) -> None:
        """See the port."""
        self._ended.add(1, {"ending": ending})
        call = self._calls.pop(call_id, None)
        if call:
            call.span.set_attribute("callboard.ending", ending)
            call.span.end()

    def close(self) -> None:
        """Send what waits. Takes as long as the collector does: not on the event loop."""
        for provider in (self._traces, self._metrics):
            try:
                provider.shutdown()
            except Exception as problem:
                log.warning("telemetry_lost", problem=type(problem).__name__)


def _observed(lag_ms: Any) -> Any:
    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        yield Observation(lag_ms())

    return observe
