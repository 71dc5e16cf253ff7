"""How long a caller may wait, and who was kept waiting longer. Pure: times are ms on the session's clock.

The same limits are the alert `slow-turns` (infra/gcloud/alerts.py) and the targets of `tests.bench.turns`. What a
caller waits on purpose (`endpointing`, the patience of a state) counts in the whole only.
"""

from __future__ import annotations

from collections.abc import Mapping

LIMITS_MS: Mapping[str, int] = {"thinking": 800, "speaking": 500, "whole": 2_000, "barge_in": 200}
"""thinking: the turn's end to the model's first text. speaking: from there to the first sound on the line. whole: the
caller's last word to that sound; where it was too long because of tools, they are named beside it. barge_in: the first
sign that the caller speaks to the end of our own sound."""
_SPEAKING = ("clause", "voicing", "sending")


def missed(stages: Mapping[str, int]) -> dict[str, int]:
    """The limits that a turn has missed, with the ms that it took; `stages` are those of its `turn_metrics`. A stage
    that was not reached says nothing."""
    took: dict[str, int] = {}
    if "thinking" in stages:
        took["thinking"] = stages["thinking"]
    if set(_SPEAKING) <= stages.keys():
        took["speaking"] = sum(stages[name] for name in _SPEAKING)
        before = sum(stages.get(name, 0) for name in ("endpointing", "thinking", "tools"))
        took["whole"] = before + took["speaking"]
    found = {name: ms for name, ms in took.items() if ms > LIMITS_MS[name]}
    tools = stages.get("tools", 0)
    if tools and "whole" in found and found["whole"] - tools <= LIMITS_MS["whole"]:
        found["tools"] = tools  # it is theirs: the rest was in time
    return found


class BargeIn:
    """From the first sign that the caller talks over us to our silence."""

    def __init__(self) -> None:
        self._since: float | None = None

    def sign(self, now: float) -> None:
        """The recogniser hears something while we speak; the first time counts."""
        if self._since is None:
            self._since = now

    def nothing(self) -> None:
        """It was none: a cough, an echo, an "uh-huh"."""
        self._since = None

    def silenced(self, now: float) -> int | None:
        """Our sound has been stopped for it. The ms that took, if that was too long."""
        since, self._since = self._since, None
        ms = round(now - since) if since is not None else 0
        return ms if ms > LIMITS_MS["barge_in"] else None
