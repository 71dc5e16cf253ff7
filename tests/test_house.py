"""The rules of the house, run as its tests: lint, format, types, the floors, sizes, and the locks' manners."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lanes import LANES

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("realtime", "functions", "media_gateway", "infra", "scripts")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
    ],
    ids=" ".join,
)
def test_the_tools_find_nothing(command: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_arrow_runs_up_the_house() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def sources() -> list[Path]:
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def test_files_and_functions_stay_short() -> None:
    long = []
    for path in sources():
        text = path.read_text()
        if text.count("\n") > 500:
            long.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno
                if length > 80:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {length} lines")
    assert long == []


def test_the_lanes_name_files_that_are_there() -> None:
    assert [file for files in LANES.values() for file in files if not (ROOT / file).is_file()] == []


def test_every_room_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in sources()
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


@pytest.mark.parametrize("name", ["requirements.lock", "media_gateway/requirements.lock", "functions/requirements.txt"])
def test_a_lock_has_hashes_and_names_no_index(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    pins = [line for line in lines if line[:1].isalpha()]
    assert pins
    assert all("==" in pin for pin in pins)
    assert sum("--hash=sha256:" in line for line in lines) >= len(pins)
    assert not [line for line in lines if re.search(r"https?://|index|find-links", line)]


def test_the_container_and_the_functions_run_what_was_tested() -> None:
    def pins(name: str) -> dict[str, str]:
        found = re.findall(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)", (ROOT / name).read_text(), re.MULTILINE)
        return dict(found)

    tested = pins("requirements.lock")
    for name in ("media_gateway/requirements.lock", "functions/requirements.txt"):
        assert pins(name).items() <= tested.items(), name
    container = pins("media_gateway/requirements.lock")
    assert not {"gunicorn", "espeakng-loader", "pocketsphinx"} & container.keys()
    assert {"uvicorn", "websockets"} <= container.keys()
