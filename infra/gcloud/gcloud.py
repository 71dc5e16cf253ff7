"""Running the real `gcloud`. What it says is understood just far enough to know whether to try again.

Secrets go in by standard input; nothing that was on it is ever shown. Every call has a deadline; what passes by itself
(too many requests, a server's bad moment, an account that is too new to be known everywhere) is tried again with
growing, jittered pauses.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.gcloud.model import Command

TIMEOUT_S = 300.0
BUILD_TIMEOUT_S = 2400.0
ATTEMPTS = 6
_FILE = re.compile(r"\{file:([a-z.]+)\}")
_EXISTS = re.compile(r"already exists|ALREADY_EXISTS|alreadyExists", re.IGNORECASE)
_MISSING = re.compile(r"NOT_FOUND|not found|Cannot find|could not be found", re.IGNORECASE)
_PASSING = re.compile(
    r"RESOURCE_EXHAUSTED|Quota exceeded|rate.?limit|\b429\b|UNAVAILABLE|\b50[0234]\b|INTERNAL|Internal error|ABORTED|"
    r"concurrent policy changes|etag|timed out|Connection (reset|aborted)|has not been used in project|"
    r"Service account \S+ does not exist|is not a valid service account|SERVICE_DISABLED|Please retry|"
    r"Max retries exceeded|Cannot find metric",
    re.IGNORECASE,
)
_UNTRUSTED = re.compile(r"CERTIFICATE_VERIFY_FAILED", re.IGNORECASE)
"""Said with "Max retries exceeded", and no retry helps."""
_DENIED = re.compile(r"PERMISSION_DENIED|\b403\b|does not have permission|Permission '?\S+'? denied", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Result:
    """What a call of gcloud came to."""

    code: int
    out: str
    err: str


Call = Callable[[Sequence[str], str | None, float], Result]
"""(arguments, standard input, seconds) -> Result. `program` below; tests have another that starts faster."""


class GcloudFailed(Exception):
    """gcloud could not do it. `why` is `missing`, `denied`, `passing` or `refused`; the text is for people."""

    def __init__(self, why: str, argv: Sequence[str], said: str) -> None:
        self.why, self.said = why, said
        remedy = {
            "denied": "Ask for the permission that is named, or log in as somebody who has it: gcloud auth login",
            "passing": "That passes by itself: run the same command again, it goes on where it stopped.",
            "missing": "Is it the right --project, --region and --env?",
        }.get(why, "Mend that and run the same command again; it goes on where it stopped.")
        super().__init__(f"gcloud {' '.join(argv[:4])}: {_gist(said)}\n  {remedy}")


class NoGcloud(Exception):
    """There is no gcloud on this machine."""


def program(arguments: Sequence[str], stdin: str | None, seconds: float) -> Result:
    """The gcloud of this machine. Raises NoGcloud."""
    found = shutil.which("gcloud")
    if found is None:
        raise NoGcloud("gcloud is not on this machine. Install it: https://cloud.google.com/sdk/docs/install")
    environment = {**os.environ, "CLOUDSDK_CORE_DISABLE_PROMPTS": "1", "CLOUDSDK_CORE_SHOW_STRUCTURED_LOGS": "never"}
    try:
        done = subprocess.run(
            [found, *arguments],
            input="" if stdin is None else stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Result(1, "", f"timed out after {seconds:.0f} s")
    return Result(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True, slots=True)
class Gcloud:
    """Commands on one project. `told` hears of every call that is made again."""

    project: str
    call: Call = program
    sleep: Callable[[float], None] = time.sleep
    told: Callable[[str], None] = field(default=lambda _line: None)
    attempts: int = ATTEMPTS

    def read(self, argv: Sequence[str]) -> Any:
        """What a reading command prints as JSON; [] for nothing. Raises GcloudFailed."""
        out = self.run(Command(tuple(argv)))
        return json.loads(out) if out.strip() else []

    def run(self, command: Command, *, seconds: float = TIMEOUT_S) -> str:
        """Its standard output. "Already exists" is success: somebody, perhaps we before we were stopped, was first.
        Raises GcloudFailed."""
        with tempfile.TemporaryDirectory(prefix="callboard-") as folder:
            for name, content in command.files.items():
                (Path(folder) / name).write_text(content)
            argv = [_FILE.sub(lambda match: str(Path(folder) / match[1]), word) for word in command.argv]
            return self._again(argv, command, seconds)

    def _again(self, argv: Sequence[str], command: Command, seconds: float) -> str:
        pause = 1.0
        for attempt in range(1, self.attempts + 1):
            done = self.call([*argv, f"--project={self.project}", "--quiet"], command.stdin, seconds)
            if done.code == 0:
                return done.out
            why = understood(done.err, argv)
            if why == "exists":
                return done.out
            if why != "passing" or attempt == self.attempts:
                raise GcloudFailed(why, argv, done.err)
            self.told(f"again in {pause:.0f} s: {_gist(done.err)}")
            self.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311 - jitter
            pause = min(pause * 2, 30.0)
        raise AssertionError("the last attempt returns or raises")


def understood(said: str, argv: Sequence[str]) -> str:
    """`exists`, `missing`, `passing`, `denied` or `refused`, from what gcloud wrote on standard error."""
    if "create" in argv and _EXISTS.search(said):
        return "exists"
    if _PASSING.search(said) and not _UNTRUSTED.search(said):
        return "passing"
    if _DENIED.search(said):
        return "denied"
    return "missing" if _MISSING.search(said) else "refused"


def _gist(said: str) -> str:
    """The line that matters."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
    return errors[0].removeprefix("ERROR: ")[:400] if errors else "it gave no reason"
