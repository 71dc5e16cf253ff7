"""A demo call as the gateway tells it, in steps that a test can stop between."""

from __future__ import annotations

from datetime import timedelta

from tests.browser.stub import Stub

GREETING = "Thank you for calling Sunrise Auto Service. How can I help you today?"
HEARD = "I have nine, ten thirty, and "
WHOLE = HEARD + "two in the afternoon. What time would you like?"
_SLOTS: dict[str, str | None] = {"service_type": "oil_change", "preferred_date": "2026-11-21", "preferred_time": None}
_STAGES = {"endpointing": 210, "thinking": 6, "clause": 2, "voicing": 48, "sending": 3, "playing": 121}


def assistant(stub: Stub, turn: int, text: str, heard: str | None = None) -> None:
    """A reply, whole or cut."""
    offset = 0
    for word in text.split(" "):
        stub.emit("ai_response_chunk", turn=turn, offset=offset, text=word + " ")
        offset += len(word) + 1
    stub.emit(
        "ai_response_complete", turn=turn, speaker="assistant", text=text if heard is None else heard, full_text=text,
        interrupted=heard is not None, heard_ms=900,
    )  # fmt: skip


def caller(stub: Stub, turn: int, text: str) -> None:
    """A turn of the caller."""
    words = text.split(" ")
    for count in range(1, len(words) + 1):
        stub.emit("partial_transcript", turn=turn, text=" ".join(words[:count]))
    stub.emit("final_transcript", turn=turn, speaker="user", text=text, confidence=0.9)


def opening(stub: Stub) -> None:
    """Answered, greeted."""
    stub.emit("call_status", status="in_progress", call_end_time=None, reason=None)
    stub.emit("state_changed", turn=0, state="greeting", intent=None, slots={}, why="start", input={})
    assistant(stub, 0, GREETING)


def middle(stub: Stub) -> None:
    """The caller asks, the assistant looks for times, is interrupted, and books."""
    caller(stub, 1, "I need an oil change tomorrow")
    stub.emit("state_changed", turn=1, state="slot_collection", intent="book_service", slots=_SLOTS, why="", input={})
    stub.emit(
        "tool_call", turn=1, tool="get_available_slots", ok=True, ms=4,
        arguments={"service_type": "oil_change", "preferred_date": "2026-11-21"},
        result={"slots": ["09:00", "10:30", "14:00"]},
    )  # fmt: skip
    assistant(stub, 1, WHOLE, heard=HEARD)
    stub.emit("metrics_updated", turn=1, stages=_STAGES, total_ms=390, tokens={})
    caller(stub, 2, "Two in the afternoon")
    slots = _SLOTS | {"preferred_time": "14:00"}
    stub.emit("state_changed", turn=2, state="execution", intent="book_service", slots=slots, why="", input={})
    stub.emit(
        "tool_call", turn=2, tool="book_appointment", ok=True, ms=11, arguments=slots,
        result={"appointment_id": "apt_7H2K", **slots},
    )  # fmt: skip
    assistant(stub, 2, "You are all set: oil change, tomorrow at two in the afternoon.")
    stub.emit("metrics_updated", turn=2, stages=_STAGES | {"voicing": 90}, total_ms=432, tokens={})


def ending(stub: Stub) -> None:
    """The two messages."""
    ended = (stub.began + timedelta(seconds=47)).isoformat()
    stub.emit(
        "state_changed",
        turn=3,
        state="closing",
        intent="book_service",
        slots=_SLOTS | {"preferred_time": "14:00"},
        why="",
        input={},
    )
    stub.emit("call_status", status="completed", call_end_time=ended, reason="hangup")
    stub.emit("call_completed", call_data={"status": "completed"})
