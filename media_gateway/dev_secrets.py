"""The secrets that `dev` makes up once, so that signatures are checked on a laptop as they are everywhere else."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

_MADE_UP: Mapping[str, Callable[[], str]] = {
    "twilio_auth_token": lambda: secrets.token_hex(16),
    "jwt_secret": lambda: f"dev:{secrets.token_urlsafe(32)}",
    "admin_username": lambda: "admin",
    "admin_password": lambda: secrets.token_urlsafe(12),
    "elevenlabs_webhook_secret": lambda: f"wsec_{secrets.token_hex(32)}",
    "elevenlabs_personalize_secret": lambda: secrets.token_urlsafe(32),
}
FILE = "dev-secrets.json"


def dev_secrets(data_dir: Path, given: Mapping[str, str]) -> dict[str, str]:
    """The secrets that `given` lacks, by lower-case variable name: from the file, or made up and kept there (0600).

    Raises OSError when the directory cannot be written; a damaged file is replaced.
    """
    path = data_dir / FILE
    kept = _read(path)
    missing = [name for name in _MADE_UP if name not in given]
    made = {name: _MADE_UP[name]() for name in missing if name not in kept}
    if made:
        kept |= made
        data_dir.mkdir(parents=True, exist_ok=True)
        _write(path, kept)
    return {name: kept[name] for name in missing}


def _read(path: Path) -> dict[str, str]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return {key: value for key, value in kept.items() if isinstance(value, str)} if isinstance(kept, dict) else {}


def _write(path: Path, kept: Mapping[str, str]) -> None:
    """Written aside and renamed: two starts at once leave one whole file, never half of one."""
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(kept, file, indent=1)
    aside.replace(path)
