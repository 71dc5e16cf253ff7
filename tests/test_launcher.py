"""run.py: the launcher that a newcomer's Python meets first."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = (ROOT / "run.py").read_text()


def launch(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env={**os.environ, **(environment or {})}
    )


def test_an_old_python_can_read_it_to_the_message() -> None:
    ast.parse(SOURCE, feature_version=(3, 7))


@pytest.mark.parametrize("version", [(3, 10), (3, 14)])
def test_a_python_that_will_not_do_is_told_which_will(version: tuple[int, int]) -> None:
    pretend = f"import sys, runpy; sys.version_info = {version!r}; "
    done = launch("-c", pretend + f"runpy.run_path({str(ROOT / 'run.py')!r}, run_name='__main__')")
    assert done.returncode == 1
    assert "Callboard needs Python 3.11 to 3.13" in done.stderr
    assert f"this is {version[0]}.{version[1]}" in done.stderr
    assert "Traceback" not in done.stderr


def copy_of_the_launcher(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "run.py", tmp_path)
    (tmp_path / "requirements.lock").write_text("")
    return tmp_path / "run.py"


def test_a_python_without_venv_is_told_how_to_get_it(tmp_path: Path) -> None:
    run = copy_of_the_launcher(tmp_path)
    code = f"import sys, runpy; sys.modules['ensurepip'] = None; runpy.run_path({str(run)!r}, run_name='__main__')"
    done = launch("-c", code)
    assert done.returncode == 1
    assert "sudo apt install python3." in done.stderr
    assert "Traceback" not in done.stderr


def test_the_environment_is_made_once_and_again_when_the_lock_changes(tmp_path: Path) -> None:
    run = copy_of_the_launcher(tmp_path)
    package = tmp_path / "infra" / "cli"
    package.mkdir(parents=True)
    (tmp_path / "infra" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text("import sys; print('became', sys.prefix, sys.argv[1:]); sys.exit(7)")
    without_uv = {"PATH": "/nonexistent"}
    first = launch(str(run), "show", "CA1", environment=without_uv)
    assert first.returncode == 7, first.stderr
    assert f"became {tmp_path / '.venv'} ['show', 'CA1']" in first.stdout
    assert "Setting up Callboard" in first.stdout
    assert "Setting up" not in launch(str(run), environment=without_uv).stdout
    (tmp_path / "requirements.lock").write_text("# nothing to install, and changed\n")
    assert "Setting up" in launch(str(run), environment=without_uv).stdout


def test_a_package_that_cannot_be_had_is_told_and_leaves_no_half_environment_in_use(tmp_path: Path) -> None:
    run = copy_of_the_launcher(tmp_path)
    (tmp_path / "requirements.lock").write_text(
        "callboard-no-such-package==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n"
    )
    nowhere = {"PATH": "/nonexistent", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    for _ in range(2):
        done = launch(str(run), environment=nowhere)
        assert done.returncode == 1
        assert "The packages could not be installed" in done.stderr
        assert "Traceback" not in done.stderr
