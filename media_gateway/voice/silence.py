"""The promise that no caller is left in silence, watched. Pure: times are ms on the session's clock.

The turn machine says what is due when (`turns`); this depends on none of its timers: it looks only at whether sound
went out while somebody was waiting. A break is told once; docs/operating.md says what to do about it.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_MS = 4_000.0
"""After a turn became ours something is heard by then, whatever has failed."""
NEXT_MS = 10_000.0
"""Once they have heard something (a filler, an apology, half an answer), how long they may wait for more."""


@dataclass(slots=True)
class Silence:
    """`sounds` is cheap: it is called for every piece of sound."""

    since: float | None = None
    """When the caller began to wait for us; None while they do not."""
    heard_until: float = 0.0
    """When all sound that was sent will have been played."""
    _told: bool = False

    def waits(self, now: float) -> None:
        """A turn is ours: from now on the caller waits. What they had not heard of the one before was dropped."""
        self.since, self.heard_until, self._told = now, min(self.heard_until, now), False

    def over(self) -> None:
        """The caller has the floor, or hears us, or is gone."""
        self.since = None

    def sounds(self, now: float, until: float) -> float | None:
        """Sound goes out that will have been heard by `until`: `broken` of what that ends."""
        broken = self.broken(now)
        self.heard_until, self._told = until, False
        return broken

    def broken(self, now: float) -> float | None:
        """How long nothing has been heard, if that is too long and was not told yet."""
        if self.since is None or self._told or self.left(now) > 0:
            return None
        self._told = True
        return now - self._quiet_since(self.since)

    def left(self, now: float) -> float:
        """How long it may go on."""
        if self.since is None:
            return NEXT_MS
        bound = NEXT_MS if self.heard_until > self.since else FIRST_MS
        return self._quiet_since(self.since) + bound - now

    def _quiet_since(self, since: float) -> float:
        return max(since, self.heard_until)
