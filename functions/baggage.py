"""What is too large for the bus goes into a file, and the news carries a pointer to it.

The sound of a call (`full_audio`, base64) always does; the rest of the data only when no bus would take it. The names
follow from the news, so that the same news again writes the same file.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from realtime.blobs import Blobs, blob_name
from realtime.bus.port import BusMessage

AUDIO = "full_audio"
IN_FILE = "callboard_in_file"
"""The only key of data that lies in a file: `{name, bytes}`."""
CONTENT_TYPE = "audio/mpeg"


class Lost(Exception):
    """The file that the news points to is not there any more."""


def without_audio(message: BusMessage, blobs: Blobs | None) -> BusMessage:
    """The news with `audio: {name, bytes, content_type}` in place of the sound, which is written first. Without a place
    for files, or when it is no base64, only its size is left: the sound can be had from the vendor. Raises
    BlobsUnavailable."""
    if AUDIO not in message.data:
        return message
    text = message.data[AUDIO]
    kept: dict[str, Any] = {name: value for name, value in message.data.items() if name != AUDIO}
    sound = _decoded(text)
    if sound is None or blobs is None:
        size = len(text) * 3 // 4 if isinstance(text, str) else None
        return replace(message, data={**kept, "audio_bytes": size})
    name = _audio_name(message)
    blobs.put(name, sound, content_type=CONTENT_TYPE)
    pointer = {"name": name, "bytes": len(sound), "content_type": CONTENT_TYPE}
    return replace(message, data={**kept, "audio": pointer})


def in_file(message: BusMessage, blobs: Blobs) -> BusMessage:
    """The news with its whole data in a file. Raises BlobsUnavailable."""
    body = json.dumps(message.data, ensure_ascii=False, separators=(",", ":")).encode()
    name = blob_name("news", message.id, "json")
    blobs.put(name, body, content_type="application/json")
    return replace(message, data={IN_FILE: {"name": name, "bytes": len(body)}})


def file_of(message: BusMessage) -> str | None:
    """The name of the file that holds the news' data, if one does. Only the file that bears the news' own name: what a
    vendor writes into its data points nowhere."""
    pointer, own = message.data.get(IN_FILE), blob_name("news", message.id, "json")
    return own if isinstance(pointer, dict) and pointer.get("name") == own else None


def audio_of(message: BusMessage) -> Mapping[str, Any]:
    """The pointer to the sound that came with this news, `{}` without one; the same holds for it."""
    pointer = message.data.get("audio")
    return pointer if isinstance(pointer, dict) and pointer.get("name") == _audio_name(message) else {}


def _audio_name(message: BusMessage) -> str:
    return blob_name("audio", f"{message.keys.get('conversation_id', 'call')}-{message.id[:16]}", "mp3")


def opened(message: BusMessage, blobs: Blobs | None) -> BusMessage:
    """The news with its data, wherever that lies. Raises Lost, BlobsUnavailable."""
    name = file_of(message)
    if name is None:
        return message
    if blobs is None:
        raise Lost("its data lies in a file, and there is no place for files here")
    try:
        data: Mapping[str, Any] = json.loads(blobs.get(name))
    except (LookupError, ValueError) as error:
        raise Lost(f"its data lay in the file {name}, which is not there any more") from error
    return replace(message, data=data)


def _decoded(text: object) -> bytes | None:
    if not isinstance(text, str) or not text:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
