"""A flow file is checked when it is read: every mistake with its file and line, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_gateway.conversation.flow import SHIPPED, FlowError, choose_flow, load_flow, load_flows
from media_gateway.conversation.model import Started
from tests.media_gateway.conversation.calls import JOHN, NOW, flows

GOOD = (SHIPPED / "inbound_new.yaml").read_text()


def problems(folder: Path, text: str, name: str = "inbound_new.yaml") -> list[str]:
    """The mistakes of a flow file, its folder cut off."""
    (folder / name).write_text(text)
    with pytest.raises(FlowError) as caught:
        load_flow(folder / name)
    return [problem.replace(f"{folder}/", "") for problem in caught.value.problems]


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("minutes: 30\n    price: 49.95", "minutes: soon\n    price: 49.95", "services.0.minutes"),
        (
            "timezone: America/New_York",
            "timezone: Newyork",
            "no such time zone: Newyork; write it like America/New_York",
        ),
        ('monday: "08:00-18:00"', "monday: 8 to 6", 'write the hours as "08:00-18:00", or closed'),
        ('monday: "08:00-18:00"', 'monday: "18:00-08:00"', "the shop closes before it opens"),
        ("greeting: Thank you", "greeting: Thank you {nmae}", "unknown placeholder {nmae}"),
        ("greeting: Thank you", "greeting: Thank you {", "is to be spoken"),
        ("address: twelve", "adress: twelve", "there is no such setting here"),
        ("'\\bhow much\\b'", "'how much('", "not a regular expression"),
        ("reason: anger", "answer: Calm down.", "`answer` goes with `action: answer`"),
        ("- operator", "- operator: me", "a colon makes it a mapping; put the text in quotes"),
        ("name: inbound_new", "name: other", "name is other, but the file is inbound_new.yaml"),
        ("- key: brake_service", "- key: oil_change", "services: oil_change listed twice"),
        ("action: deny", "action: affirm", "none with the action deny"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, right: str, wrong: str, says: str) -> None:
    assert right in GOOD
    text = GOOD.replace(right, wrong, 1)
    found = problems(tmp_path, text)
    assert any(says in problem for problem in found), found
    assert all(problem.startswith("inbound_new.yaml:") for problem in found)


def test_the_line_is_that_of_the_mistake(tmp_path: Path) -> None:
    text = GOOD.replace("patience_ms: 700", "patience_ms: 7")
    assert problems(tmp_path, text)[0].startswith(f"inbound_new.yaml:{line_of(text, 'patience_ms: 7')}: ")


def test_all_mistakes_are_named_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = GOOD.replace("minutes: 30", "minutes: -1").replace("timezone: America/New_York", "timezone: Mars")
    found = problems(tmp_path, text)
    lines = [int(problem.split(":")[1]) for problem in found]
    assert len(found) == 3
    assert lines == sorted(lines)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: [", "inbound_new.yaml:1: "),
        ("- a list", "inbound_new.yaml:1: a flow is a mapping"),
        ("", "inbound_new.yaml:1: a flow is a mapping"),
        ("name: a\nname: b", "inbound_new.yaml:2: name is given twice"),
        ("name: a\nextends: nowhere", "inbound_new.yaml:2: extends: nowhere: no such flow here"),
        ("name: a\nextends: inbound_new", "inbound_new.yaml:2: extends: inbound_new: in a circle"),
        ("name: a\nextends: ../../secrets", "inbound_new.yaml:2: extends: "),
        ("name: *unknown", "inbound_new.yaml:1: "),
        ("name: !!python/object:os.system x", "inbound_new.yaml:1: "),
    ],
)
def test_what_is_no_flow_at_all_is_a_clear_error(tmp_path: Path, text: str, says: str) -> None:
    assert problems(tmp_path, text)[0].startswith(says)


def test_a_flow_that_extends_another_says_which_file_a_mistake_is_in(tmp_path: Path) -> None:
    (tmp_path / "inbound_new.yaml").write_text(GOOD.replace("action: hello", "action: wave"))
    found = problems(tmp_path, "extends: inbound_new\nname: other\ngreeting: '{nobody}'\n", "other.yaml")
    assert [problem.split(":")[0] for problem in found] == ["inbound_new.yaml", "other.yaml"]


def test_words_that_yaml_would_take_for_booleans_stay_words() -> None:
    assert "yes" in flows()["inbound_new"].spec.intents["affirm"].examples


def test_a_folder_without_flows_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FlowError, match="CALLBOARD_FLOWS_DIR"):
        load_flows(tmp_path)


@pytest.mark.parametrize(
    ("started", "name"),
    [
        (Started(NOW.isoformat(), "+15550100", JOHN), "inbound_existing"),
        (Started(NOW.isoformat(), "+15550100"), "inbound_new"),
        (Started(NOW.isoformat()), "inbound_general"),
    ],
)
def test_who_calls_chooses_the_flow(started: Started, name: str) -> None:
    assert choose_flow(flows(), started) == name
    assert choose_flow({"inbound_new": flows()["inbound_new"]}, started) == "inbound_new"


def test_phrases_are_shared_and_fit_a_small_recogniser() -> None:
    flow = flows()["inbound_new"]
    assert flow.phrases is flow.profiles["preferred_time"].phrases
    assert 1000 < len(flow.phrases) <= 6000
    words = {word for phrase in flow.phrases for word in phrase.split()}
    assert len(words) < 300
    assert all(word.replace("'", "").isalpha() and word.islower() for word in words)
    for phrase in (
        "i need an oil change tomorrow at two",
        "actually make that three",
        "no thursday",
        "yes",
        "nine thirty",
    ):
        assert phrase in flow.phrases


def test_every_phrase_for_the_recogniser_is_understood() -> None:
    flow = flows()["inbound_new"]
    deaf = []
    for phrase in flow.phrases:
        heard = flow.ear.hear(phrase, NOW, "time")
        if not (heard.intents or heard.service or heard.when or heard.yes is not None):
            deaf.append(phrase)
    # what only means something after a question ("what should I change?", "nine, ten, or noon?")
    assert set(deaf) == {"the second one", "the last one", "the first one", "the day", "the time", "the service"}
