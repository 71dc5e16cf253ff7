"""Write the lock files from pyproject.toml, or check that they are fresh (`--check`).

requirements.lock                everything a developer's machine runs (run.py installs it)
media_gateway/requirements.lock  the container: the project's own dependencies
functions/requirements.txt       the Cloud Run functions
media_gateway/dashboard/node.lock  npm, for a machine that has none of its own

Every pin carries hashes; no file names a package index. Pins stay as they are unless pyproject.toml no longer
allows them (`--upgrade` moves them all).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS: dict[str, tuple[str, ...]] = {
    "requirements.lock": ("project", "functions", "demo", "cli", "dev"),
    "media_gateway/requirements.lock": ("project",),
    "functions/requirements.txt": ("functions",),
    "media_gateway/dashboard/node.lock": ("frontend",),
}


def wanted(groups: tuple[str, ...]) -> list[str]:
    """The requirement lines of these groups, sorted, as pyproject.toml has them."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines: set[str] = set()
    for group in groups:
        lines.update(data["project"]["dependencies"] if group == "project" else data["dependency-groups"][group])
    return sorted(lines)


def compile_lock(target: Path, groups: tuple[str, ...], *, upgrade: bool) -> None:
    """Resolve for Python 3.11 to 3.13 on every platform, keeping the pins that `target` already has."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "requirements.in"
        source.write_text("\n".join(wanted(groups)) + "\n")
        command = [
            sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11",
            "--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-header", "--no-annotate",
            "--output-file", str(target), str(source),
        ]  # fmt: skip
        constraint = ROOT / "requirements.lock"
        if target != constraint and constraint.exists() and target.name != "requirements.lock.check":
            pins = Path(folder) / "pins.txt"
            lines = [line.split(" \\")[0] for line in constraint.read_text().splitlines() if line[:1].isalpha()]
            pins.write_text("\n".join(lines) + "\n")
            command += ["--constraint", str(pins)]
        subprocess.run([*command, *(["--upgrade"] if upgrade else [])], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 if a lock file no longer fits pyproject.toml")
    parser.add_argument("--upgrade", action="store_true", help="move every pin to the newest allowed version")
    options = parser.parse_args()
    stale: list[str] = []
    for name, groups in LOCKS.items():
        path = ROOT / name
        if not options.check:
            compile_lock(path, groups, upgrade=options.upgrade)
            continue
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "requirements.lock.check"
            if path.exists():
                shutil.copy(path, copy)
            compile_lock(copy, groups, upgrade=False)
            if not path.exists() or copy.read_text() != path.read_text():
                stale.append(name)
    if stale:
        print(f"stale: {', '.join(stale)}. Run `python scripts/lock.py` and commit the result.")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
