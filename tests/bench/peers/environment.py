"""The virtual environments of the peers: made once, from a lock file, when the bench names one."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = Path(__file__).resolve().parents[3] / ".callboard" / "peers"
"""Where they are kept: a folder that git ignores."""
WORDS = 400
Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


class NoPeer(Exception):
    """A peer cannot be had; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Someone else's gateway: a file to run, and what it needs."""

    lock: Path
    program: Path
    options: tuple[str, ...] = ()

    @property
    def home(self) -> str:
        """Peers of one lock share an environment."""
        return self.lock.stem


_PIPECAT = HERE / "pipecat.lock", HERE / "pipecat_bot.py"
PEERS = {"pipecat": Peer(*_PIPECAT), "pipecat-lean": Peer(*_PIPECAT, ("--lean",))}


def command(kind: str, port: int, folder: Path = FOLDER) -> list[str]:
    """What starts it."""
    peer = PEERS[kind]
    return [str(_python(folder / peer.home)), str(peer.program), "--port", str(port), *peer.options]


def version(kind: str) -> str:
    """Of the peer's own package, as it is pinned."""
    name = PEERS[kind].home
    for line in PEERS[kind].lock.read_text().splitlines():
        if line.startswith((f"{name}==", f"{name}-ai==")):
            return line.split("==")[1].split()[0]
    raise KeyError(name)


def ready(kind: str, folder: Path = FOLDER) -> bool:
    """Is what the lock file wants there, all of it?"""
    peer = PEERS[kind]
    mark = _mark(folder / peer.home)
    return _python(folder / peer.home).exists() and mark.is_file() and mark.read_text() == _digest(peer.lock)


def _run(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def make(kind: str, folder: Path = FOLDER, *, run: Run = _run, say: Callable[[str], None] = _say) -> None:
    """Its environment, if it is not there or no longer what the lock file wants. Raises NoPeer."""
    if ready(kind, folder):
        return
    peer = PEERS[kind]
    home, began = folder / peer.home, time.monotonic()
    pins = sum("==" in line for line in peer.lock.read_text().splitlines())
    say(f"{kind}: installing {pins} packages into {home} (once, a minute or two, about 600 MB)")
    python = str(_python(home))
    for step in (
        [sys.executable, "-m", "venv", "--clear", str(home)],
        [python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(peer.lock)],
    ):
        done = run(step)
        if done.returncode:
            raise NoPeer(_why(kind, folder, step, done))
    _mark(home).write_text(_digest(peer.lock))
    say(f"{kind}: installed in {time.monotonic() - began:.0f} s")


def _why(kind: str, folder: Path, step: Sequence[str], done: subprocess.CompletedProcess[str]) -> str:
    said = (done.stderr or done.stdout).strip()[-WORDS:]
    return (
        f"{kind} cannot be installed: {' '.join(step)} ended with {done.returncode}.\n{said}\n"
        "It needs Python 3.11 to 3.13 with venv, and a package index that pip can reach, once (pip's own settings are "
        f"used). Run the bench where there is one, or leave {kind} out of --targets."
    )


def _python(home: Path) -> Path:
    return home / "bin" / "python"


def _mark(home: Path) -> Path:
    return home / "installed"


def _digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()
