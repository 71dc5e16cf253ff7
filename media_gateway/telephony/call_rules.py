"""Whom we may call, and with what. Pure: no store, no clock."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

import phonenumbers
from phonenumbers import PhoneNumberType

MAX_VARIABLES = 8 * 1024
"""Characters of `variables` as JSON: they travel in the call's head."""
RING_S = 30
LONGEST_S = 55 * 60
"""A media stream lives 60 minutes on Cloud Run; the call ends before."""
STATUS_EVENTS = ("initiated", "ringing", "answered", "completed")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_DEAR = frozenset(
    {
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.PERSONAL_NUMBER,
        PhoneNumberType.PAGER,
        PhoneNumberType.UAN,
    }
)


class NotCallable(ValueError):
    """This call may not be placed. `code` for programs, `fix` for people."""

    def __init__(self, code: str, message: str, fix: str) -> None:
        super().__init__(message)
        self.code, self.fix = code, fix


def callable_number(text: str, countries: Collection[str]) -> str:
    """The number, if it is E.164, can exist, and lies in one of `countries` (ISO 3166, two letters). Raises
    NotCallable."""
    if not _E164.fullmatch(text):
        raise NotCallable("bad_number", "to is no number in E.164.", "Write it with + and the country: +14155550123.")
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException as error:
        raise NotCallable("bad_number", f"to is no telephone number: {error}.", "Check its digits.") from error
    if not phonenumbers.is_possible_number(number):
        raise NotCallable("bad_number", "to has too many or too few digits for its country.", "Check its digits.")
    region = _region(number)
    if region is None or region not in countries:
        place = region or f"+{number.country_code}"
        raise NotCallable(
            "country_not_allowed",
            f"Calls to {place} are not allowed here.",
            f"CALLBOARD_CALL_COUNTRIES is {','.join(sorted(countries))}; add the country if such calls are meant.",
        )
    if phonenumbers.number_type(number) in _DEAR:
        raise NotCallable("dear_number", "to is a number at a special rate.", "Call an ordinary number.")
    return text


def _region(number: phonenumbers.PhoneNumber) -> str | None:
    """The country of the number. The reserved 555 exchange, which every example uses, counts as the main country of
    its code; other numbers that are not in use have none (+1 alone is two dozen countries)."""
    region: str | None = phonenumbers.region_code_for_number(number)
    if region is None and number.country_code == 1 and f"{number.national_number:010d}".startswith("555"):
        return "US"
    return region


def checked_variables(variables: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the flow is told of this call. Raises NotCallable when it is too much."""
    size = len(json.dumps(variables, ensure_ascii=False))
    if size > MAX_VARIABLES:
        raise NotCallable("too_large", f"variables are {size} characters.", f"Send at most {MAX_VARIABLES}.")
    return variables


def twilio_parameters(*, to: str, from_: str, base_url: str, intent_id: str, flow: str) -> dict[str, Any]:
    """`calls.create` of Twilio's SDK. Everything it calls back carries the intent, so that the call is known by it
    even when the answer to this request is lost. Machine detection is asynchronous: the callee is greeted at once."""
    voice = f"{base_url}/api/v1/voice"
    return {
        "to": to,
        "from_": from_,
        "url": f"{voice}/outbound?flow={flow}&intent={intent_id}",
        "status_callback": f"{voice}/status?intent={intent_id}",
        "status_callback_event": list(STATUS_EVENTS),
        "machine_detection": "DetectMessageEnd",
        "async_amd": "true",
        "async_amd_status_callback": f"{voice}/amd?intent={intent_id}",
        "timeout": RING_S,
        "time_limit": LONGEST_S,
    }
