"""The functions as they are deployed: real functions-framework apps, in process or on a port; and signed webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flask
import functions_framework
from werkzeug.serving import make_server

MAIN = Path(__file__).resolve().parents[2] / "functions" / "main.py"
SECRET = "wsec_test"
PATH = "/webhooks/elevenlabs/post-call"


def app_of(entry_point: str) -> flask.Flask:
    app: flask.Flask = functions_framework.create_app(entry_point, str(MAIN))
    return app


@contextmanager
def serving(app: flask.Flask) -> Iterator[str]:
    """The app on a port of the loopback interface; its URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def sign(body: bytes, *, secret: str = SECRET, at: float | None = None) -> str:
    """The header `ElevenLabs-Signature`."""
    stamp = str(int(time.time() if at is None else at))
    return f"t={stamp},v0=" + hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def deliver(app: flask.Flask, payload: Any, *, signature: str | None = None) -> tuple[int, dict[str, Any]]:
    """POST a webhook as the vendor does; the status and the JSON of the answer."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    headers = {"ElevenLabs-Signature": sign(body) if signature is None else signature}
    response = app.test_client().post(PATH, data=body, headers=headers, content_type="application/json")
    return response.status_code, response.get_json()


def transcription(conversation_id: str = "conv_1", call_sid: str = "CA1", **data: Any) -> dict[str, Any]:
    """A `post_call_transcription`, with the fields of a conversation as ElevenLabs gives them."""
    return {
        "type": "post_call_transcription",
        "event_timestamp": 1795197600,
        "data": {
            "agent_id": "agent_1",
            "agent_name": "Dispatcher",
            "conversation_id": conversation_id,
            "status": "done",
            "user_id": None,
            "has_audio": True,
            "transcript": [
                {"role": "agent", "message": "Hello, this is dispatch.", "time_in_call_secs": 0, "tool_calls": []},
                {"role": "user", "message": "Grüß dich! 👋", "time_in_call_secs": 4, "interrupted": False},
            ],
            "metadata": {
                "start_time_unix_secs": 1795197500,
                "call_duration_secs": 61,
                "cost": 296,
                "termination_reason": "end_call tool was called",
                "phone_call": {
                    "type": "twilio",
                    "direction": "outbound",
                    "call_sid": call_sid,
                    "call_result": "answered",
                },
            },
            "analysis": {
                "call_successful": "success",
                "transcript_summary": "The driver acknowledged the violation.",
                "evaluation_criteria_results": {"polite": {"criteria_id": "polite", "result": "success"}},
                "data_collection_results": {},
            },
            "conversation_initiation_client_data": {"dynamic_variables": {"driverName": "Kim"}},
            **data,
        },
    }


def failure(conversation_id: str = "conv_1", reason: str = "busy") -> dict[str, Any]:
    """A `call_initiation_failure` with Twilio's body."""
    return {
        "type": "call_initiation_failure",
        "event_timestamp": 1795197600,
        "data": {
            "agent_id": "agent_1",
            "conversation_id": conversation_id,
            "failure_reason": reason,
            "metadata": {"type": "twilio", "body": {"CallSid": "CA1", "CallStatus": "busy", "To": "+15550100"}},
        },
    }
