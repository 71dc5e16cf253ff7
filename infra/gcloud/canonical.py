"""JSON that is the same text for the same content."""

from __future__ import annotations

import json
from typing import Any


def canonical(body: Any) -> str:
    """JSON with its keys in order, and whole numbers whole."""

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: whole(each) for key, each in value.items()}
        if isinstance(value, list):
            return [whole(each) for each in value]
        return int(value) if isinstance(value, float) and value.is_integer() else value

    return json.dumps(whole(body), sort_keys=True)
