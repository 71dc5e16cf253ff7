"""What clients see of a head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from realtime.call import Call

_INSIDE = ("tail", "owner", "owner_term", "commands", "expire_at")


def public(head: Mapping[str, Any]) -> dict[str, Any]:
    """Without what only instances need."""
    return {key: value for key, value in head.items() if key not in _INSIDE}


def public_head(call: Call) -> dict[str, Any]:
    """The head of this call."""
    return public(call.to_dict())
