"""The page names every module that its first view needs, so that a browser fetches them at once and not one by one."""

from __future__ import annotations

import json
import re
from pathlib import Path

from media_gateway.dashboard import frontend

STATIC = frontend.HERE / "static"
HTML = (STATIC / "index.html").read_text()
LIBRARIES = json.loads(re.search(r'<script type="importmap">(.*?)</script>', HTML, re.DOTALL)[1])["imports"]  # type: ignore[index]
_IMPORT = re.compile(r'(?:^|;)(?:import|export)\b[^;()]*?from\s*"([^"]+)"', re.MULTILINE)
FIRST = ("app.js", "pages/live.js")
OF_LIBRARIES = {"/static/lib/signals-core.js"}
"""What libraries import themselves; they are not there before set-up, so it is said here."""


def imports(module: Path) -> set[Path]:
    """The modules of our own, and the libraries, that this one cannot start without."""
    if "lib" in module.relative_to(STATIC).parts:
        return set()
    names = _IMPORT.findall(module.read_text())
    own = {(module.parent / name).resolve() for name in names if name.startswith(".")}
    return own | {STATIC / LIBRARIES[name].removeprefix("/static/") for name in names if name in LIBRARIES}


def test_what_the_first_view_needs_is_asked_for_at_once() -> None:
    needed: set[Path] = set()
    todo = [STATIC / name for name in FIRST]
    while todo:
        module = todo.pop()
        if module not in needed:
            needed.add(module)
            todo += imports(module)
    named = set(re.findall(r'<link rel="modulepreload" href="([^"]+)">', HTML))
    assert named == {f"/static/{module.relative_to(STATIC)}" for module in needed} | OF_LIBRARIES
