"""The entry points, by the names they are deployed under: each is the function of that name in the file of that name.

What a function needs is imported when it is needed: a service is one of them, and a webhook's cold start is somebody's
waiting time. A service that is told which one it is (FUNCTION_TARGET) imports that at its start.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = str(Path(__file__).resolve().parents[1])
if ROOT not in sys.path:
    # functions-framework puts this file's own folder on the path, not the one that holds `functions` and `realtime`.
    sys.path.insert(0, ROOT)

import functions_framework  # noqa: E402

from functions.logs import configure  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    import flask
    from flask.typing import ResponseReturnValue

    Entry = Callable[[flask.Request], ResponseReturnValue]

configure()


def _entry(name: str) -> Entry:
    def entry(request: flask.Request) -> ResponseReturnValue:
        answer: Entry = getattr(import_module(f"functions.{name}"), name)
        return answer(request)

    entry.__name__ = name
    if os.environ.get("FUNCTION_TARGET") == name:
        import_module(f"functions.{name}")
    http: Entry = functions_framework.http(entry)
    return http


elevenlabs_webhook = _entry("elevenlabs_webhook")
elevenlabs_personalize = _entry("elevenlabs_personalize")
apply_call_event = _entry("apply_call_event")
schedule_reminders = _entry("schedule_reminders")
reconcile_conversations = _entry("reconcile_conversations")
voice_fallback = _entry("voice_fallback")
