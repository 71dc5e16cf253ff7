"""The page's JSDoc types hold, and what its parts import is there: checked by the TypeScript of package-lock.json."""

from __future__ import annotations

import subprocess

from media_gateway.dashboard import frontend

CHECK = ("-p", str(frontend.HERE / "tsconfig.json"))


def checker() -> str:
    """The compiler is a program of the platform's own; it needs no Node."""
    frontend.ensure(dev=True)
    found = sorted((frontend.HERE / "node_modules" / "@typescript").glob("*/lib/tsc*"))
    programs = [path for path in found if path.suffix in ("", ".exe")]
    assert programs, "typescript brought no program for this platform"
    return str(programs[0])


def test_the_types_of_the_page_hold() -> None:
    done = subprocess.run([checker(), *CHECK], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == ""
    assert done.returncode == 0


def test_the_check_sees_every_module_of_the_page() -> None:
    done = subprocess.run([checker(), *CHECK, "--listFiles"], capture_output=True, text=True, timeout=120, check=True)
    static = frontend.HERE / "static"
    elsewhere = {"lib", "worklets"}  # worklets live in another world, with other globals
    modules = {path for path in static.rglob("*.js") if not elsewhere & set(path.relative_to(static).parts)}
    assert modules
    assert {str(path) for path in modules} <= set(done.stdout.splitlines())
