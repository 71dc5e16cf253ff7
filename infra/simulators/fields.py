"""Take typed values out of a YAML mapping, with errors that say where and how to mend it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_MISSING = object()


class ScenarioError(ValueError):
    """A scenario file that cannot be used; the message says where and why."""


class Fields:
    """The keys of one mapping; each is taken once, and `done` refuses what nobody took."""

    def __init__(self, data: object, where: str) -> None:
        if not isinstance(data, Mapping):
            raise ScenarioError(f"{where}: a mapping is needed, not {data!r}")
        self._data = {str(key): value for key, value in data.items()}
        self.where = where

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def peek(self, key: str) -> Any:
        return self._data.get(key)

    def take(self, key: str, default: Any = _MISSING) -> Any:
        value = self._data.pop(key, default)
        if value is _MISSING:
            raise ScenarioError(f"{self.where}: {key} is missing")
        return value

    def text(self, key: str, default: Any = _MISSING) -> str:
        value = self.take(key, default)
        if isinstance(value, bool):
            raise ScenarioError(f"{self.where}: {key} became {value}: YAML reads bare yes/no/on/off so; use quotes")
        if not isinstance(value, str):
            raise ScenarioError(f"{self.where}: {key} must be text, not {value!r}; use quotes")
        return value

    def optional_text(self, key: str) -> str | None:
        return self.text(key) if self._data.get(key) is not None else self.take(key, None)

    def number(self, key: str, default: Any = _MISSING) -> float:
        value = self.take(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ScenarioError(f"{self.where}: {key} must be a number of at least 0, not {value!r}")
        return float(value)

    def whole(self, key: str, default: Any = _MISSING) -> int:
        value = self.number(key, default)
        if value != int(value):
            raise ScenarioError(f"{self.where}: {key} must be a whole number, not {value!r}")
        return int(value)

    def flag(self, key: str, default: Any = _MISSING) -> bool:
        value = self.take(key, default)
        if not isinstance(value, bool):
            raise ScenarioError(f"{self.where}: {key} is true or false, not {value!r}")
        return value

    def optional_flag(self, key: str) -> bool | None:
        return self.flag(key) if self._data.get(key) is not None else self.take(key, None)

    def must_be_true(self, key: str) -> None:
        if not self.flag(key):
            raise ScenarioError(f"{self.where}: {key}: true, or leave the step out")

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, or one text alone; empty when missing."""
        value = self.take(key, ())
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, Sequence) or not all(isinstance(one, str) for one in values):
            raise ScenarioError(f"{self.where}: {key} is a list of texts (in quotes), not {value!r}")
        return tuple(values)

    def items(self, key: str) -> Sequence[Any]:
        value = self.take(key)
        if not isinstance(value, list):
            raise ScenarioError(f"{self.where}: {key} is a list, not {value!r}")
        return value

    def done(self) -> None:
        if self._data:
            raise ScenarioError(f"{self.where}: unknown: {', '.join(sorted(self._data))}")
