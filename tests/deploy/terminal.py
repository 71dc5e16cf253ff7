"""The command line in this process, on the fake Google: what a person types, and what they see."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest
from rich.console import Console
from typer.testing import CliRunner

from infra.cli import deploy_verbs
from infra.gcloud.place import Place
from tests.deploy.fake_google.cloud import PROJECT
from tests.deploy.fake_google.ready import Ground

COLUMNS, LINES = 100, 24
HERE = ("--project", PROJECT)


@dataclass(frozen=True, slots=True)
class Shown:
    """Exit code and text, both streams in one as a terminal has them."""

    code: int
    text: str


@contextmanager
def terminal(here: Ground, environ: Mapping[str, str]) -> Iterator[Callable[..., Shown]]:
    """Calls run the verb: the console of both streams is one of 100 columns, gcloud is the warm one, and the smoke test
    is the ground's own."""

    def smoker(_gcloud: Any, _environ: Any, _told: Any) -> Callable[[Place], Callable[[str, str, str], Sequence[str]]]:
        return here.smoke

    def run(*words: str) -> Shown:
        screen = Console(width=COLUMNS, file=io.StringIO(), force_terminal=False, record=True)
        with mock.patch.object(deploy_verbs, "out", screen), mock.patch.object(deploy_verbs, "err", screen), \
                mock.patch("infra.cli.console.err", screen):  # fmt: skip
            done = CliRunner().invoke(deploy_verbs.deploy_app, list(words))
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Shown(done.exit_code, screen.export_text() + done.output)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("TWILIO_API_BASE_URL", "ELEVENLABS_API_KEY", "GOOGLE_CLOUD_PROJECT"):
            patch.delenv(name, raising=False)
        for name, value in environ.items():
            patch.setenv(name, value)
        for module in ("deploying", "releasing", "wiring", "reading_logs"):
            patch.setattr(f"infra.cli.{module}.gcloud_for", lambda _place, _err: here.gcloud)
        for module in ("deploying", "releasing", "wiring"):
            patch.setattr(f"infra.cli.{module}.smoker", smoker)
        yield run
