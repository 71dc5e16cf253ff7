"""The faster encoder takes what the standard library's takes and refuses what it refuses."""

from __future__ import annotations

import json
from collections import UserDict
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime import json_text

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


class Colour(StrEnum):
    RED = "red"


@given(values)
def test_it_says_what_the_standard_library_says(value: Any) -> None:
    written = json_text.encode(value)
    assert json.loads(written) == value
    assert json_text.decode(written) == value
    assert json_text.size(value) == len(written)


def test_names_and_tuples_are_plain() -> None:
    assert json_text.encode({"colour": Colour.RED, "both": (1, True)}) == b'{"colour":"red","both":[1,true]}'


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("-inf"),
        "\ud800",
        object(),
        b"bytes",
        {1, 2},
        datetime(2026, 11, 26, tzinfo=UTC),
        MappingProxyType({"a": 1}),
        UserDict({"a": 1}),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("wrap", [lambda one: {"x": one}, lambda one: {"x": [{"y": (one,)}]}], ids=["flat", "deep"])
def test_what_is_not_json_is_refused(value: object, wrap: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        json_text.encode(wrap(value))
