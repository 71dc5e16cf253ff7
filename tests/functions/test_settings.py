"""The environment is read once, and what is wrong in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from functions.settings import Misconfigured, Settings


def test_what_is_not_set_has_no_guessed_engine_and_no_secret() -> None:
    settings = Settings.of({})
    assert (settings.store, settings.bus, settings.webhook_secret) == ("", "", "")
    assert settings.database == Path(".callboard/callboard.db")
    assert settings.retention_days == 30


def test_a_secret_does_not_show_in_what_is_printed() -> None:
    assert "hush" not in repr(Settings.of({"ELEVENLABS_WEBHOOK_SECRET": "hush"}))


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, "CALLBOARD_STORE"),
        ({"CALLBOARD_STORE": "postgres"}, "postgres"),
        ({"CALLBOARD_STORE": "firestore"}, "GOOGLE_CLOUD_PROJECT"),
        ({"CALLBOARD_STORE": "embedded", "K_SERVICE": "apply"}, "Cloud Run"),
        ({"CALLBOARD_RETENTION_DAYS": "soon"}, "CALLBOARD_RETENTION_DAYS"),
        ({"CALLBOARD_RETENTION_DAYS": "0"}, "CALLBOARD_RETENTION_DAYS"),
    ],
)
def test_what_is_wrong_is_named(environ: dict[str, str], named: str) -> None:
    with pytest.raises(Misconfigured, match=named):
        Settings.of(environ).require("CALLBOARD_STORE", Settings.of(environ).store, "firestore")


def test_both_engines_can_be_chosen() -> None:
    Settings.of({}).require("CALLBOARD_BUS", "embedded", "pubsub")
    Settings.of({"GOOGLE_CLOUD_PROJECT": "p", "K_SERVICE": "w"}).require("CALLBOARD_BUS", "pubsub", "pubsub")
