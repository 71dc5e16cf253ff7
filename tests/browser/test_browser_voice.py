"""Talking to the assistant in the browser, against a real gateway: the eight checks, by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.house import ANSWERS, CAPITAL, PEOPLE, TOWER, House, living
from tests.browser.page import CHROMIUM, MICROPHONE, Dashboard, chromium
from tests.conftest import require

pytestmark = [pytest.mark.browser]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with living(tmp_path_factory.mktemp("house")) as running:
        yield running


@pytest.fixture(scope="module")
def talking_browser() -> Iterator[Browser]:
    require(CHROMIUM.exists(), "Chromium", "apt-get install -y --no-install-recommends chromium")
    with chromium(*MICROPHONE) as running:
        yield running


@pytest.fixture
def tab(talking_browser: Browser, house: House) -> Iterator[Dashboard]:
    """Signed in, before the first word; the microphone is heard while the button is held."""
    house.lines.clear()
    with Dashboard.opened(talking_browser, house.address) as dashboard:
        dashboard.sign_in(house.token())
        dashboard.page.add_init_script("localStorage.setItem('callboard.mic-mode', 'push')")
        dashboard.page.goto(f"{house.address}/#/talk")
        dashboard.wait_live()
        yield dashboard


def type_line(tab: Dashboard, text: str) -> None:
    tab.page.locator("#type-line").fill(text)
    tab.page.locator("#type-line").press("Enter")


def answered(tab: Dashboard, text: str) -> Locator:
    """The solid bubble of the answer, once it is there."""
    bubble = tab.bubbles("assistant").filter(has_text=ANSWERS[text])
    expect(bubble.last).to_be_visible()
    expect(tab.ghosts()).to_have_count(0)
    return bubble


def words(tab: Dashboard) -> list[str]:
    """What was said after the greeting, in the order of the page."""
    return [str(line) for line in tab.bubbles().locator(".words").all_inner_texts()][1:]


def begin_by_voice(tab: Dashboard) -> None:
    tab.page.get_by_role("button", name="Start talking").click()
    expect(tab.page.get_by_role("button", name="Hold to talk")).to_be_visible()
    expect(tab.bubbles("assistant")).to_have_count(1)  # the greeting has been heard


def speak(tab: Dashboard) -> None:
    """Hold the button until something was heard."""
    tab.page.get_by_role("button", name="Hold to talk").hover()
    tab.page.mouse.down()
    expect(tab.page.locator(".now .bubble.user")).to_be_visible()


def test_a_partial_is_shown(tab: Dashboard, house: House) -> None:
    house.lines.append(CAPITAL)
    begin_by_voice(tab)
    speak(tab)
    partial = tab.page.locator(".now .bubble.user .words")
    expect(partial).to_contain_text("What")
    assert tab.bubbles("user").count() == 0
    tab.page.mouse.up()
    expect(tab.bubbles("user")).to_have_count(1)


def test_the_final_becomes_a_user_bubble(tab: Dashboard, house: House) -> None:
    house.lines.append(CAPITAL)
    begin_by_voice(tab)
    speak(tab)
    tab.page.mouse.up()
    expect(tab.bubbles("user").locator(".words")).to_have_text(CAPITAL)
    expect(tab.page.locator(".now .bubble.user")).to_have_count(0)


def test_chunks_stream_into_the_assistant_bubble(tab: Dashboard, house: House) -> None:
    type_line(tab, TOWER)
    answered(tab, TOWER)
    house.mind.open.clear()
    type_line(tab, CAPITAL)
    expect(tab.page.get_by_text("The assistant is thinking")).to_be_attached()
    tab.page.evaluate(
        """() => {
          window.__streamed = [];
          new MutationObserver(() => {
            const words = document.querySelector(".now .bubble.assistant .words");
            if (words) window.__streamed.push(words.textContent);
          }).observe(document.querySelector(".talk"), { subtree: true, childList: true, characterData: true });
        }"""
    )
    house.mind.open.set()
    answered(tab, CAPITAL)
    streamed = tab.page.evaluate("window.__streamed")
    assert streamed
    assert all(ANSWERS[CAPITAL].startswith(text.strip()) for text in streamed)
    expect(tab.page.get_by_text("The assistant is thinking")).to_have_count(0)


def test_completion_replaces_it_and_audio_plays(tab: Dashboard, house: House) -> None:
    type_line(tab, CAPITAL)
    voice = tab.page.get_by_role("img", name="How loud the assistant is")
    expect(voice).to_have_attribute("data-lit", re.compile(r"^([4-9]|1\d)$"))
    expect(answered(tab, CAPITAL)).to_have_count(1)
    expect(tab.page.locator(".now .bubble")).to_have_count(0)
    expect(voice).to_have_attribute("data-lit", "0")


def test_metrics_after_the_turn(tab: Dashboard, house: House) -> None:
    type_line(tab, CAPITAL)
    answered(tab, CAPITAL)
    expect(tab.page.locator(".turn").filter(has_text="Turn 1")).to_contain_text("ms")
    own = [event for _, _, event in tab.events_seen()]
    assert own.index("metrics_updated", own.index("final_transcript")) > own.index("final_transcript")
    done = own.index("ai_response_complete", own.index("final_transcript"))
    assert own[done + 1] == "metrics_updated"


def test_three_turns_are_six_messages_ordered_surviving_a_refresh(tab: Dashboard, house: House) -> None:
    expected = []
    for question in (CAPITAL, PEOPLE, TOWER):
        type_line(tab, question)
        answered(tab, question)
        expected += [question, ANSWERS[question]]
    assert words(tab) == expected
    tab.page.reload()
    expect(tab.bubbles()).to_have_count(7)
    assert words(tab) == expected
    expect(tab.page.get_by_label("Or type")).to_be_visible()  # the conversation goes on
    type_line(tab, CAPITAL)
    expect(tab.bubbles("user")).to_have_count(4)
    assert words(tab)[:6] == expected


def test_two_tabs_are_identical(tab: Dashboard, house: House, talking_browser: Browser) -> None:
    type_line(tab, CAPITAL)
    answered(tab, CAPITAL)
    with Dashboard.opened(talking_browser, house.address) as other:
        other.sign_in(house.token())
        other.page.goto(tab.page.url)
        expect(other.bubbles()).to_have_count(3)
        type_line(tab, TOWER)
        answered(tab, TOWER)
        expect(other.bubbles()).to_have_count(5)
        assert words(other) == words(tab) == [CAPITAL, ANSWERS[CAPITAL], TOWER, ANSWERS[TOWER]]
        expect(other.page.get_by_text("goes on in another tab")).to_be_visible()
        other.page.get_by_role("button", name="Take it here", exact=True).click()
        expect(other.page.get_by_label("Or type")).to_be_visible()
        expect(tab.page.get_by_role("alert").filter(has_text="another tab or window")).to_be_visible()
        type_line(other, PEOPLE)
        answered(other, PEOPLE)
        answered(tab, PEOPLE)


def test_reopen_and_continue(tab: Dashboard, house: House) -> None:
    type_line(tab, CAPITAL)
    answered(tab, CAPITAL)
    tab.page.get_by_role("button", name="End", exact=True).click()
    expect(tab.page.get_by_text("This conversation has ended.")).to_be_visible()
    ended = tab.page.url
    tab.page.goto(f"{house.address}/#/live")
    tab.page.get_by_role("link", name="Talk", exact=True).click()
    tab.page.get_by_role("navigation", name="Your conversations").locator("a.row").first.click()
    expect(tab.bubbles("user").locator(".words")).to_have_text(CAPITAL)
    tab.page.get_by_role("button", name="Continue by typing").click()
    expect(tab.page.get_by_label("Or type")).to_be_visible()
    type_line(tab, PEOPLE)
    answered(tab, PEOPLE)
    assert tab.page.url != ended
    assert [line for line in words(tab) if line in (CAPITAL, PEOPLE)] == [CAPITAL, PEOPLE]
    asked = [line.text for line in house.mind.last.history if line.role == "user"]
    assert asked == [CAPITAL, PEOPLE]


def test_a_refused_microphone_is_said_and_typing_goes_on(tab: Dashboard, house: House) -> None:
    tab.page.evaluate(
        """() => { navigator.mediaDevices.getUserMedia =
          () => Promise.reject(new DOMException("denied", "NotAllowedError")); }"""
    )
    tab.page.get_by_role("button", name="Start talking").click()
    expect(tab.page.get_by_role("alert")).to_contain_text("does not let this page use the microphone")
    type_line(tab, CAPITAL)
    answered(tab, CAPITAL)


def test_the_speaker_can_be_muted_and_the_space_bar_talks(tab: Dashboard, house: House) -> None:
    house.lines.append(TOWER)
    begin_by_voice(tab)
    tab.page.get_by_role("button", name="Speaker on").click()
    expect(tab.page.get_by_role("button", name="Speaker muted")).to_be_visible()
    tab.page.locator("#talk-title").click()
    tab.page.keyboard.down("Space")
    expect(tab.page.locator(".now .bubble.user")).to_be_visible()
    tab.page.keyboard.up("Space")
    answered(tab, TOWER)
    expect(tab.page.get_by_role("img", name="How loud the assistant is")).to_have_attribute("data-lit", "0")


LOUD = """() => new Promise((done, failed) => {
  const until = Date.now() + 20000;
  const look = () => {
    const lit = Number(document.querySelector('[aria-label="How loud you are"]')?.dataset.lit ?? 0);
    if (lit >= 3) done();
    else if (Date.now() > until) failed(new Error("it was never loud"));
    else requestAnimationFrame(look);
  };
  look();
})"""
"""The microphone beeps once a second and briefly: who looks once a second may always look in between."""


def test_a_microphone_is_chosen_and_its_level_shown(tab: Dashboard, house: House) -> None:
    page = tab.page
    page.get_by_role("button", name="Start talking").click()
    page.get_by_text("Open mic", exact=True).click()
    expect(page.get_by_text("Listening")).to_be_visible()
    page.evaluate(LOUD)
    choice = page.get_by_role("combobox")
    named = choice.locator("option").last
    wanted = str(named.get_attribute("value"))
    page.evaluate(
        """() => {
          const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          navigator.mediaDevices.getUserMedia = (asked) => ((window.__asked = asked), real(asked));
        }"""
    )
    choice.select_option(wanted)
    expect(page.get_by_text("Listening")).to_be_visible()
    page.evaluate(LOUD)
    assert page.evaluate("window.__asked.audio.deviceId") == {"ideal": wanted}
    page.get_by_role("button", name="Microphone off").click()
    expect(page.get_by_role("button", name="Use the microphone")).to_be_visible()


@pytest.mark.parametrize(("theme", "width"), [("dark", 1360), ("light", 1360), ("light", 390)])
def test_axe_finds_nothing_in_a_conversation(
    talking_browser: Browser, house: House, axe_source: Path, pictures: Path, theme: str, width: int
) -> None:
    size = {"width": width, "height": 860 if width > 700 else 844}
    with Dashboard.opened(
        talking_browser, house.address, viewport=size, color_scheme=theme, reduced_motion="reduce"
    ) as dashboard:
        page = dashboard.page
        dashboard.sign_in(house.token(f"{theme}{width}"))
        page.goto(f"{house.address}/#/talk")
        dashboard.wait_live()
        type_line(dashboard, CAPITAL)
        answered(dashboard, CAPITAL)
        page.get_by_role("button", name="Use the microphone").click()
        expect(page.get_by_text("Listening")).to_be_visible()
        page.screenshot(path=pictures / f"conversation-{theme}-{width}.png")
        assert dashboard.axe(axe_source) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
