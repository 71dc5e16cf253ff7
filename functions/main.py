"""The entry points, by the names they are deployed under. Each file behind them imports what its trigger needs."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[1])
if ROOT not in sys.path:
    # functions-framework puts this file's own folder on the path, not the one that holds `functions` and `realtime`.
    sys.path.insert(0, ROOT)

import functions_framework  # noqa: E402

from functions import apply_call_event as _applier  # noqa: E402
from functions import elevenlabs_personalize as _personalize  # noqa: E402
from functions import elevenlabs_webhook as _webhook  # noqa: E402
from functions import reconcile_conversations as _reconcile  # noqa: E402
from functions import schedule_reminders as _reminders  # noqa: E402
from functions import voice_fallback as _fallback  # noqa: E402
from functions.logs import configure  # noqa: E402

configure()

elevenlabs_webhook = functions_framework.http(_webhook.elevenlabs_webhook)
elevenlabs_personalize = functions_framework.http(_personalize.elevenlabs_personalize)
apply_call_event = functions_framework.http(_applier.apply_call_event)
schedule_reminders = functions_framework.http(_reminders.schedule_reminders)
reconcile_conversations = functions_framework.http(_reconcile.reconcile_conversations)
voice_fallback = functions_framework.http(_fallback.voice_fallback)
