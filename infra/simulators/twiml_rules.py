"""TwiML's own grammar, as data: which elements may stand where, which attributes each knows (Twilio's voice TwiML
reference; names are case sensitive). What is not here, Twilio answers with a 12200 schema warning and ignores."""

from __future__ import annotations

import re
from collections.abc import Mapping

_RECORDING = {"recordingStatusCallback", "recordingStatusCallbackMethod", "recordingStatusCallbackEvent"}

VERBS: Mapping[str, frozenset[str]] = {
    "Connect": frozenset({"action", "method"}),
    "Start": frozenset({"action", "method"}),
    "Stop": frozenset(),
    "Dial": frozenset(
        {
            "action", "answerOnBridge", "callerId", "callReason", "events", "hangupOnStar", "method", "record",
            "recordingConfigurationId", "recordingTrack", "referMethod", "referUrl", "ringTone", "sequential",
            "timeLimit", "timeout", "trim",
        }
        | _RECORDING
    ),
    "Enqueue": frozenset({"action", "maxQueueSize", "method", "waitUrl", "waitUrlMethod", "workflowSid"}),
    "Gather": frozenset(
        {
            "action", "actionOnEmptyResult", "bargeIn", "debug", "dtmfDetection", "enhanced", "finishOnKey", "hints",
            "input", "language", "maxSpeechTime", "method", "numDigits", "partialResultCallback",
            "partialResultCallbackMethod", "profanityFilter", "speechModel", "speechTimeout", "timeout",
        }
    ),
    "Hangup": frozenset(),
    "Leave": frozenset(),
    "Pause": frozenset({"length"}),
    "Pay": frozenset({"action", "method"}),
    "Play": frozenset({"digits", "loop"}),
    "Record": frozenset(
        {
            "action", "finishOnKey", "maxLength", "method", "playBeep", "timeout", "transcribe", "transcribeCallback",
            "trim",
        }
        | _RECORDING
    ),
    "Redirect": frozenset({"method"}),
    "Refer": frozenset({"action", "method"}),
    "Reject": frozenset({"reason"}),
    "Say": frozenset({"language", "loop", "voice"}),
}  # fmt: skip

_MACHINE = {
    "machineDetection", "machineDetectionTimeout", "machineDetectionSpeechThreshold",
    "machineDetectionSpeechEndThreshold", "machineDetectionSilenceTimeout", "amdStatusCallback",
    "amdStatusCallbackMethod",
}  # fmt: skip
_CALLBACK = {"statusCallback", "statusCallbackEvent", "statusCallbackMethod"}

NOUNS: Mapping[tuple[str, str], frozenset[str]] = {
    ("Connect", "Stream"): frozenset(
        {"connectorName", "name", "statusCallback", "statusCallbackMethod", "track", "url"}
    ),
    ("Start", "Stream"): frozenset({"connectorName", "name", "statusCallback", "statusCallbackMethod", "track", "url"}),
    ("Stream", "Parameter"): frozenset({"name", "value"}),
    ("Gather", "Say"): VERBS["Say"],
    ("Gather", "Play"): VERBS["Play"],
    ("Gather", "Pause"): VERBS["Pause"],
    ("Dial", "Number"): frozenset({"byoc", "method", "sendDigits", "url"} | _CALLBACK | _MACHINE),
    ("Dial", "Client"): frozenset({"method", "url"} | _CALLBACK),
    ("Dial", "Sip"): frozenset({"method", "password", "url", "username"} | _CALLBACK | _MACHINE),
    ("Dial", "Queue"): frozenset({"method", "postWorkActivitySid", "reservationSid", "url"}),
    ("Dial", "Conference"): frozenset(
        {
            "beep", "coach", "endConferenceOnExit", "eventCallbackUrl", "jitterBufferSize", "maxParticipants", "muted",
            "participantLabel", "record", "region", "startConferenceOnEnter", "trim", "waitMethod", "waitUrl",
        }
        | _CALLBACK
        | _RECORDING
    ),
}  # fmt: skip

CHOICES: Mapping[tuple[str, str], frozenset[str]] = {
    ("Connect", "method"): frozenset({"GET", "POST"}),
    ("Dial", "method"): frozenset({"GET", "POST"}),
    ("Redirect", "method"): frozenset({"GET", "POST"}),
    ("Gather", "method"): frozenset({"GET", "POST"}),
    ("Gather", "input"): frozenset({"dtmf", "speech", "dtmf speech", "speech dtmf"}),
    ("Number", "method"): frozenset({"GET", "POST"}),
    ("Number", "machineDetection"): frozenset({"Enable", "DetectMessageEnd"}),
    ("Stream", "statusCallbackMethod"): frozenset({"GET", "POST"}),
    ("Reject", "reason"): frozenset({"busy", "rejected"}),
    ("Dial", "answerOnBridge"): frozenset({"true", "false"}),
    ("Dial", "hangupOnStar"): frozenset({"true", "false"}),
}

WHOLE_NUMBERS: Mapping[tuple[str, str], tuple[int, int]] = {
    ("Dial", "timeout"): (1, 600),
    ("Dial", "timeLimit"): (1, 86_400),
    ("Gather", "timeout"): (1, 600),
    ("Gather", "numDigits"): (1, 100),
    ("Pause", "length"): (0, 600),
    ("Say", "loop"): (0, 1000),
    ("Play", "loop"): (0, 1000),
}

TEXT_ALLOWED = frozenset({"Say", "Play", "Redirect", "Dial", "Number", "Client", "Sip", "Queue", "Conference"})
E164 = re.compile(r"\+[1-9]\d{1,14}")
MAX_DOCUMENT_BYTES = 64 * 1024
PARAMETER_CHARS = 500
"""`name` and `value` of one `<Parameter>` together stay under this."""
