"""Where the time of a turn goes. Pure: times are ms on the session's clock.

Stages add up to the whole: endpointing (speech end to turn end, the recogniser's own figure), thinking (turn end to
first text), tools (what of that time they ran for, if they did), clause (to the first clause given to the voice),
voicing (to its first sound), sending (to the first media message), playing (to the first acknowledged mark).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

STAGES = ("committed", "text", "clause", "sound", "media", "played")
_NAMES = ("thinking", "clause", "voicing", "sending", "playing")


@dataclass(slots=True)
class TurnMeter:
    """One turn's clock."""

    turn: int
    endpointing_ms: int = 0
    characters: int = 0
    """Given to the voice; lines of the cache cost nothing."""
    told: bool = False
    """Its figures are in the journal."""
    tokens: dict[str, int] = field(default_factory=lambda: {"prompt": 0, "completion": 0, "cached": 0})
    _at: dict[str, float] = field(default_factory=dict)
    _tools_ms: float = 0.0
    _working_since: float | None = None

    def reached(self, stage: str, now: float) -> None:
        """The first time counts."""
        self._at.setdefault(stage, now)
        if stage == "text":
            self.working(False, now)

    def working(self, on: bool, now: float) -> None:
        """Tools run for this turn, or have ended. Behind the first text nobody waits for them in silence."""
        since, self._working_since = self._working_since, now if on and "text" not in self._at else None
        self._tools_ms += now - since if since is not None else 0.0

    def used(self, prompt: int, completion: int, cached: int) -> None:
        """Tokens of one more request."""
        for name, value in (("prompt", prompt), ("completion", completion), ("cached", cached)):
            self.tokens[name] += value

    @property
    def total_tokens(self) -> int:
        """Tokens that are paid for."""
        return self.tokens["prompt"] + self.tokens["completion"]

    def data(self) -> dict[str, Any]:
        """The `turn_metrics` event. A stage that was not reached is absent, and so are those behind it."""
        stages: dict[str, int] = {"endpointing": self.endpointing_ms}
        for name, start, end in zip(_NAMES, STAGES, STAGES[1:], strict=False):
            if start not in self._at or end not in self._at:
                break
            # Rounding both ends, not the difference: so the stages add up to the whole exactly.
            stages[name] = round(self._at[end]) - round(self._at[start])
        if self._tools_ms and "thinking" in stages:
            tools = min(round(self._tools_ms), stages["thinking"])
            thinking = stages["thinking"] - tools
            stages = {"endpointing": self.endpointing_ms, "thinking": thinking, "tools": tools} | {
                name: ms for name, ms in stages.items() if name not in ("endpointing", "thinking")
            }
        return {"turn": self.turn, "stages": stages, "total_ms": sum(stages.values()), "tokens": dict(self.tokens)}
