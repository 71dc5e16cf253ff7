"""When marks go back: at once when due, or later if this peer is a slow one. Pure."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass

from infra.simulators.config import Faults
from infra.simulators.playout import Mark


@dataclass(frozen=True, slots=True)
class Echo:
    """A mark that goes back now."""

    number: int
    mark: Mark


class Echoes:
    """Marks that have been settled, until they are sent. A mark's number is its place in `settled`."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._random = random.Random(faults.seed)  # noqa: S311 (jitter, not a secret)
        self._waiting: list[tuple[int, int, Mark]] = []
        self.settled: list[Mark] = []
        self.echoed_us: dict[int, int] = {}

    def settle(self, marks: tuple[Mark, ...], now_us: int) -> None:
        """These marks have their outcome; those that are echoed will be."""
        for mark in marks:
            number = len(self.settled)
            self.settled.append(mark)
            if mark.outcome != "dropped":
                hold_ms = self._faults.mark_delay_ms + self._random.uniform(0, self._faults.mark_jitter_ms)
                heapq.heappush(self._waiting, (now_us + round(hold_ms * 1000), number, mark))

    def due(self, now_us: int) -> list[Echo]:
        """What is to be sent now, in the order it goes out."""
        echoes: list[Echo] = []
        while self._waiting and self._waiting[0][0] <= now_us:
            _, number, mark = heapq.heappop(self._waiting)
            self.echoed_us[number] = now_us
            echoes.append(Echo(number, mark))
        return echoes

    def next_us(self) -> int | None:
        """When the next one is due."""
        return self._waiting[0][0] if self._waiting else None
