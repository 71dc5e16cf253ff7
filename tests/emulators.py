"""Fixtures that run the real gcloud emulators: one of each per test run, shared by its workers, on 127.0.0.1 only.

The worker that first needs an emulator starts it and ends it, after the other workers have let go of it. Both
emulators answer `GET /` with 200 when they are ready. gcloud's own wrapper hides the process id of Java, so the
programs are started without it.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests import conftest  # the module, for it imports the fixtures from here

HEAP = "-Xmx384m"
START_SECONDS = 60.0
ATTEMPTS = 3
PROJECT = "demo-callboard"


@pytest.fixture(scope="session")
def firestore_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of a running Firestore emulator. Data outlives a test: use ids of your own."""
    with _shared(_run_folder(tmp_path_factory), "firestore", firestore_command()) as address:
        yield address


@pytest.fixture(scope="session")
def pubsub_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of a running Pub/Sub emulator. Topics outlive a test: use names or a project of your own."""
    with _shared(_run_folder(tmp_path_factory), "pubsub", _pubsub()) as address:
        yield address


@contextmanager
def both(folder: Path) -> Iterator[tuple[str, str]]:
    """The same outside of a test run, for benchmarks: the addresses of Firestore and Pub/Sub."""
    with _shared(folder, "firestore", firestore_command()) as firestore, _shared(folder, "pubsub", _pubsub()) as pubsub:
        yield firestore, pubsub


def firestore_command() -> Callable[[int], list[str]]:
    """What starts a Firestore emulator on a port; skips the test where it is not to be had."""
    root = _sdk_root()
    jar = root / "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar" if root else None
    remedy = (
        "install Java 11 or newer and run `gcloud components install cloud-firestore-emulator` "
        "(Debian: `apt-get install google-cloud-cli-firestore-emulator default-jre-headless`)"
    )
    conftest.require(jar and jar.exists() and shutil.which("java"), "the Firestore emulator", remedy)

    def command(port: int) -> list[str]:
        main = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
        options = ["--host=127.0.0.1", f"--port={port}", "--database-mode=firestore-native"]
        return ["java", HEAP, "-Duser.language=en", "-cp", str(jar), main, "start", *options]

    return command


class Mortal:
    """An emulator of a test's own, to be killed, stopped and started again on the same port, where it remembers
    nothing."""

    def __init__(self, folder: Path, command: Callable[[int], list[str]]) -> None:
        self._command = command
        self._process, self._port = _start(folder, "mortal", command)

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self._port}"

    def signal(self, how: signal.Signals) -> None:
        """SIGSTOP: it falls silent with all that it knows. SIGCONT: it goes on. SIGKILL: it is gone."""
        os.killpg(self._process.pid, how)
        if how is signal.SIGKILL:
            self._process.wait(timeout=10)

    def start(self) -> None:
        """Again, after its end. Comes back when it is ready."""
        self._process = subprocess.Popen(
            self._command(self._port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert _ready(self._process, self._port), "the emulator did not come back"

    def close(self) -> None:
        """For good."""
        _end(self._process)


def _pubsub() -> Callable[[int], list[str]]:
    root = _sdk_root()
    program = root / "platform/pubsub-emulator/bin/cloud-pubsub-emulator" if root else None
    remedy = (
        "install Java 11 or newer and run `gcloud components install pubsub-emulator` "
        "(Debian: `apt-get install google-cloud-cli-pubsub-emulator default-jre-headless`)"
    )
    conftest.require(program and program.exists() and shutil.which("java"), "the Pub/Sub emulator", remedy)
    return lambda port: [str(program), "--host=127.0.0.1", f"--port={port}"]


@cache
def _sdk_root() -> Path | None:
    """Where the Google Cloud SDK lives; None when there is none."""
    found = shutil.which("gcloud")
    if not found:
        return None
    beside = Path(found).resolve().parent.parent
    if (beside / "platform").is_dir():
        return beside
    asked = subprocess.run(
        [found, "info", "--format=value(installation.sdk_root)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = Path(asked.stdout.strip())
    return told if asked.stdout.strip() and told.is_dir() else None


def _run_folder(factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this test run share."""
    base = factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@contextmanager
def _shared(folder: Path, name: str, command: Callable[[int], list[str]]) -> Iterator[str]:
    """The address of the emulator of this run, started if no worker has yet."""
    process: subprocess.Popen[bytes] | None = None
    with _state(folder, name) as state:
        if not state:
            process, port = _start(folder, name, command)
            state.update(address=f"127.0.0.1:{port}", users=[])
        state["users"].append(os.getpid())
        address: str = state["address"]
    try:
        yield address
    finally:
        with _state(folder, name) as state:
            state["users"].remove(os.getpid())
        if process is not None:
            _end_after_others(folder, name, process)


def _start(folder: Path, name: str, command: Callable[[int], list[str]]) -> tuple[subprocess.Popen[bytes], int]:
    """The running program and its port. A free port can be taken by another before Java binds it: hence attempts."""
    log = folder / f"{name}-emulator.log"
    environment = {**os.environ, "JAVA_OPTS": f"{HEAP} -Duser.language=en"}
    for _ in range(ATTEMPTS):
        port = free_port()
        with log.open("wb") as out:
            process = subprocess.Popen(
                command(port), stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, start_new_session=True
            )
        if _ready(process, port):
            return process, port
        _end(process)
    pytest.fail(f"the {name} emulator did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _ready(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/")
            if connection.getresponse().status == 200:
                return True
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
        finally:
            connection.close()
    return False


def _end_after_others(folder: Path, name: str, process: subprocess.Popen[bytes]) -> None:
    """End the emulator when no other living worker uses it any more."""
    while True:
        with _state(folder, name) as state:
            if not any(_alive(pid) for pid in state["users"]):
                _end(process)
                state.clear()
                return
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and its group (it leads one of its own). It holds nothing worth a graceful end."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)


@contextmanager
def _state(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """What the workers know together, {} at first, {address, users: [pid]} while it runs; changes are kept."""
    path = folder / f"{name}-emulator.json"
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        text = file.read()
        state: dict[str, Any] = json.loads(text) if text else {}
        yield state
        file.seek(0)
        file.truncate()
        json.dump(state, file)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
