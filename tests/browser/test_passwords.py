"""A user's own password, by clicks, against a real gateway: chosen at the first sign-in, changed later."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from playwright.sync_api import Browser, Page, expect

from media_gateway.auth import Principal, Tokens
from tests.browser.house import House, living
from tests.browser.page import Dashboard

pytestmark = [pytest.mark.browser]
REFUSED = "Failed to load resource"
OWN, OTHER = "a horse of my own", "another horse of mine"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    # What a hash costs is not what is tested here; a busy machine takes longer for real ones than a page waits.
    cheap = partial(PasswordHasher, time_cost=1, memory_cost=64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("media_gateway.auth.passwords.PasswordHasher", cheap)
        with living(tmp_path_factory.mktemp("house")) as running:
            yield running


def sign_in(page: Page, password: str) -> None:
    page.get_by_label("Name").fill("ann")
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_a_password_for_the_first_time_is_changed_and_changed_again(
    browser: Browser, house: House, axe_source: Path, pictures: Path
) -> None:
    with Dashboard.opened(browser, house.address) as dashboard:
        page = dashboard.page
        dashboard.sign_in(Tokens(house.settings.jwt_keys).access(Principal("root", "default", "admin")))
        page.goto(f"{house.address}/#/setup")
        page.get_by_label("Name", exact=True).fill("ann")
        page.get_by_role("form", name="Add a user").locator("select").select_option("operator")
        page.get_by_role("button", name="Add user").click()
        given = page.locator(".once code").inner_text()
        expect(page.get_by_text("has not chosen a password yet")).to_be_visible()
        expect(page.get_by_role("button", name="Change your password")).to_have_count(0)  # it is in the environment
    with Dashboard.opened(browser, house.address) as dashboard:
        dashboard.expected = (REFUSED,)
        page = dashboard.page
        page.goto(house.address)
        sign_in(page, given)
        expect(page.get_by_text("That password was for the first time.")).to_be_visible()
        assert dashboard.axe(axe_source) == []
        page.screenshot(path=pictures / "first-password-light.png")
        page.get_by_label("New password").fill(OWN)
        page.get_by_label("The same again").fill(OTHER)
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("These are two different passwords.")
        page.get_by_label("The same again").fill(OWN)
        page.keyboard.press("Enter")
        dashboard.wait_live()
        page.get_by_role("button", name="Change your password").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("The one you have").fill("not that one at all")
        dialog.get_by_label("New password").fill(OTHER)
        dialog.get_by_label("The same again").fill(OTHER)
        dialog.get_by_role("button", name="Change it").click()
        expect(dialog.get_by_role("alert")).to_contain_text("That is not the current password.")
        dialog.get_by_label("The one you have").fill(OWN)
        dialog.get_by_role("button", name="Change it").click()
        expect(dialog).to_have_count(0)
        page.reload()
        dashboard.wait_live()  # the session goes on
        page.get_by_role("button", name="Sign out").click()
        sign_in(page, OWN)
        expect(page.get_by_role("alert")).to_contain_text("wrong user name or password")
        sign_in(page, OTHER)
        dashboard.wait_live()
