"""A language model from phrases: what is kept, what is named as missing, what counts as understood."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_gateway.providers.ears_model import NoPhrases, prepare, vocabulary
from tests.media_gateway.providers.hearing import flow_phrases


def test_phrases_are_spelled_as_the_dictionary_spells_them() -> None:
    words = vocabulary(["Tune-up, please!", "At two P.M.", "That’s right", "at two o'clock"])
    assert {"tune up please", "at two p.m.", "that's right", "at two o'clock"} <= set(words.phrases)
    assert words.missing == ()


def test_words_without_a_pronunciation_are_named_and_their_phrases_left_out() -> None:
    words = vocabulary(["my zorblax is broken", "at 2", "oil change"])
    assert words.missing == ("2", "zorblax")
    assert "oil change" in words.phrases
    assert not any("broken" in phrase for phrase in words.phrases)


@pytest.mark.parametrize("phrases", [[], ["qwrtz"], ["", "  "]])
def test_nothing_to_listen_for_is_an_error_that_says_what_to_do(phrases: list[str]) -> None:
    with pytest.raises(NoPhrases, match="give the flow phrases"):
        vocabulary(phrases)


def test_interjections_are_heard_in_any_flow() -> None:
    assert {"uh huh", "wait stop"} <= set(vocabulary(["oil change"]).phrases)


def test_every_alternative_pronunciation_is_in_the_dictionary() -> None:
    entries = vocabulary(["either"]).dictionary
    assert [entry.split(" ", 1)[0] for entry in entries if entry.startswith("either")] == ["either", "either(2)"]


def test_the_flow_has_no_word_that_cannot_be_heard() -> None:
    assert vocabulary(flow_phrases()).missing == ()


def test_every_phrase_of_the_flow_counts_as_understood_and_a_salad_does_not() -> None:
    words = vocabulary(flow_phrases())
    assert all(words.understood(phrase) for phrase in words.phrases)
    assert not words.understood("the would for on brake please tomorrow hours manager what two")


def test_the_model_is_built_once_for_the_same_phrases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = prepare(["oil change", "brake service", "zorblax"], tmp_path)
    monkeypatch.setattr("media_gateway.providers.ears_model.vocabulary", None)
    assert prepare(["oil change", "brake service", "zorblax"], tmp_path) == built
    assert built.words.missing == ("zorblax",)
    assert built.words.understood("oil change")


def test_other_phrases_are_another_model_and_no_drafts_stay(tmp_path: Path) -> None:
    first, second = prepare(["oil change"], tmp_path), prepare(["tire rotation"], tmp_path)
    assert first.language != second.language
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".dict"] * 2 + [".json"] * 2 + [".lm"] * 2
