#!/usr/bin/env python3
"""Callboard's one command: `python3 run.py` starts the whole system, `python3 run.py test` runs every test.

Standard library only: it makes its own environment beside itself (`.venv`, from requirements.lock with hashes), again
only when the lock changes, and hands over to `infra.cli` inside it.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "callboard.stamp"
OLDEST, NEWEST = (3, 11), (3, 13)


def main() -> int:
    """Set up if need be, then become the command line."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        return fail(
            f"Callboard needs Python {dotted(OLDEST)} to {dotted(NEWEST)}; this is {dotted(sys.version_info[:2])}.",
            "Install one of them and start again with it, for example: python3.12 run.py",
        )
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = fingerprint()
    if not python.exists() or not STAMP.exists() or STAMP.read_text() != wanted:
        problem = set_up(python)
        if problem:
            return problem
        STAMP.write_text(wanted)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep),
    }
    environment["CALLBOARD_STARTED_IN"] = os.getcwd()
    command = [str(python), "-m", "infra.cli", *sys.argv[1:]]
    os.chdir(ROOT)
    if os.name == "nt":
        return subprocess.call(command, env=environment)
    sys.stdout.flush()
    return os.execve(command[0], command, environment)


def fingerprint() -> str:
    """Changes when the lock or the Python that made the environment does."""
    return f"{sys.version}\n{hashlib.sha256(LOCK.read_bytes()).hexdigest()}"


def set_up(python: Path) -> int:
    """Make the environment from the lock; 0, or the exit code with the reason told."""
    print(f"Setting up Callboard (first start, or its packages have changed): {VENV.relative_to(ROOT)}", flush=True)
    same_python = STAMP.exists() and STAMP.read_text().startswith(sys.version)
    STAMP.unlink(missing_ok=True)
    try:
        import ensurepip  # noqa: F401 - Debian splits it off; without it the environment would have no pip
        import venv
    except ImportError:
        package = f"python{dotted(sys.version_info[:2])}-venv"
        return fail("This Python has no venv module.", f"On Debian and Ubuntu: sudo apt install {package}")
    try:
        uv = shutil.which("uv")
        if not same_python or not python.exists():
            venv.create(VENV, with_pip=uv is None, clear=VENV.exists(), symlinks=os.name != "nt")
        return install(python, uv)
    except (OSError, subprocess.CalledProcessError) as problem:
        return fail(f"The environment could not be made: {problem}", f"Remove {VENV.name} and start again.")


def install(python: Path, uv: "str | None") -> int:
    """Bring in the packages of the lock, every one checked against its hash."""
    if uv:
        return subprocess.call([uv, "pip", "install", "--python", str(python), "--require-hashes", "-r", str(LOCK)])
    total = sum(line[:1].isalpha() for line in LOCK.read_text().splitlines())
    command = [
        str(python), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off",
        "--require-hashes", "-r", str(LOCK),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout
    done, lines = 0, []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Collecting "):
            done += 1
            progress(done, total, line.split()[1].split("=")[0])
        elif line.startswith("Installing"):
            progress(total, total, "installing")
    code = process.wait()
    print(flush=True)
    if code:
        print("".join(lines[-15:]), file=sys.stderr)
        return fail("The packages could not be installed (see above).", "Is there a network and a package index?")
    return 0


def progress(done: int, total: int, name: str) -> None:
    """A bar on a terminal, now and then a line elsewhere."""
    done = min(done, total)
    if sys.stdout.isatty():
        filled = 30 * done // total
        print(f"\r  [{'#' * filled}{'.' * (30 - filled)}] {done}/{total} {name:<32.32}", end="", flush=True)
    elif done % 20 == 0 or done == total:
        print(f"  {done}/{total} packages", flush=True)


def dotted(version: "tuple[int, ...]") -> str:
    """3.11"""
    return ".".join(map(str, version))


def fail(what: str, remedy: str) -> int:
    """Say what is wrong and how to mend it."""
    print(f"{what}\n{remedy}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
