"""An answer is shown as it comes, whole and in order, and not more often than anybody reads."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from media_gateway.voice.captions import EVERY_MS, Captions

PIECES = st.lists(st.tuples(st.floats(0, 300), st.text(max_size=8)), max_size=60)


@given(PIECES)
def test_all_of_it_is_shown_once_and_in_order(pieces: list[tuple[float, str]]) -> None:
    shown: list[tuple[float, Mapping[str, object]]] = []
    now = 0.0
    captions = Captions(lambda data: shown.append((now, data)))
    for gap, text in pieces:
        now += gap
        captions.add(now, 3, text)
    told = len(shown)
    captions.flush(3)
    text = ""
    for _, data in shown:
        assert data["turn"] == 3
        assert data["offset"] == len(text)
        text += str(data["text"])
    assert text == "".join(piece for _, piece in pieces)
    assert all(after - before >= EVERY_MS for (before, _), (after, _) in pairwise(shown[:told]))


def test_the_first_words_are_shown_at_once_and_of_every_answer() -> None:
    shown: list[Mapping[str, object]] = []
    captions = Captions(shown.append)
    captions.add(1_000, 1, "One")
    captions.add(1_010, 1, " moment")
    assert [data["text"] for data in shown] == ["One"]
    captions.begin()
    captions.add(1_020, 2, "Yes")
    assert shown[-1] == {"turn": 2, "offset": 0, "text": "Yes"}
    captions.add(1_125, 2, ", at two")
    assert shown[-1] == {"turn": 2, "offset": 3, "text": ", at two"}
