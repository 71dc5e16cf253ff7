"""What an environment must hold to be fit to start with, beyond the type of each value. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from media_gateway.hosts import loopback

Given = Mapping[str, str]
"""The variables that are set and not empty, by lower-case name."""

_CHOICES = {
    "callboard_store": "embedded or firestore",
    "callboard_bus": "embedded or pubsub",
    "callboard_stt": "deepgram or embedded",
    "callboard_llm": "openai or scripted",
    "callboard_tts": "deepgram, elevenlabs or embedded",
}
_DEMO_CHOICES = frozenset({"embedded", "scripted"})
_NEEDS = {
    ("callboard_store", "firestore"): "google_cloud_project",
    ("callboard_bus", "pubsub"): "google_cloud_project",
    ("callboard_stt", "deepgram"): "deepgram_api_key",
    ("callboard_llm", "openai"): "openai_api_key",
    ("callboard_tts", "deepgram"): "deepgram_api_key",
    ("callboard_tts", "elevenlabs"): "elevenlabs_api_key",
}
_URLS = {
    "public_base_url": ("http", "https"),
    "twilio_api_base_url": ("http", "https"),
    "openai_base_url": ("http", "https"),
    "elevenlabs_base_url": ("http", "https"),
    "nhtsa_base_url": ("http", "https"),
    "elevenlabs_webhook_url": ("http", "https"),
    "elevenlabs_personalize_url": ("http", "https"),
    "deepgram_base_url": ("ws", "wss"),
}
_MAKE_ONE = "is required; make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
_SHORTEST_KEY = 32
NO_PLACE = (
    "gcloud storage buckets create gs://NAME --location=REGION --uniform-bucket-level-access; then"
    " gcloud storage buckets add-iam-policy-binding gs://NAME --member=serviceAccount:ACCOUNT"
    " --role=roles/storage.objectUser; then set CALLBOARD_AUDIO_BUCKET=NAME and start again."
    " Or set CALLBOARD_RECORD=false."
)
"""What makes a place for recordings. ACCOUNT is what the gateway runs as; `python3 run.py up` does all of it."""
_E164 = re.compile(r"\+[1-9][0-9]{4,14}")


def with_dev_choices(given: Given) -> dict[str, str]:
    """In `dev`, an engine that nobody named follows from the key that is there; store and bus stay on this machine."""
    by_key = {
        "callboard_stt": "deepgram" if "deepgram_api_key" in given else "embedded",
        "callboard_llm": "openai" if "openai_api_key" in given else "scripted",
        "callboard_tts": "deepgram"
        if "deepgram_api_key" in given
        else ("elevenlabs" if "elevenlabs_api_key" in given else "embedded"),
        "callboard_store": "embedded",
        "callboard_bus": "embedded",
        "callboard_record": "true",
    }
    return {**by_key, **given}


def parse_jwt_keys(text: str) -> tuple[tuple[str, str], ...]:
    """`kid:secret` once or several times, separated by commas; a single secret without a kid is called "1".

    Raises ValueError on an empty kid or secret and on a kid used twice.
    """
    pairs: list[tuple[str, str]] = []
    for part in (piece.strip() for piece in text.split(",")):
        kid, colon, secret = part.partition(":")
        if not colon:
            kid, secret = "1", part
        if not kid or not secret:
            raise ValueError("must be kid:secret, or several of them separated by commas; the first signs")
        pairs.append((kid, secret))
    if len({kid for kid, _ in pairs}) != len(pairs):
        raise ValueError("has the same kid twice; give each secret a kid of its own: kid1:secret1,kid2:secret2")
    return tuple(pairs)


def parse_supervisors(text: str) -> dict[str, str]:
    """`name=+15551230000`, or several of them separated by commas; the names in lower case.

    Raises ValueError on a name without a number, a number that is none, and a name used twice.
    """
    found: dict[str, str] = {}
    for part in (piece.strip() for piece in text.split(",") if piece.strip()):
        name, _, number = (half.strip() for half in part.partition("="))
        if not name or not _E164.fullmatch(number):
            raise ValueError("must be name=+15551230000, or several of them separated by commas")
        if name.lower() in found:
            raise ValueError(f"names {name} twice")
        found[name.lower()] = number
    return found


def problems(given: Given, *, dev: bool) -> dict[str, str]:
    """Variable name (upper case) -> what to do about it; empty when all is well."""
    found: dict[str, str] = {}
    cloud = "k_service" in given
    if cloud and dev:
        found["K_SERVICE"] = "this is Cloud Run, where `dev` has no place; start it with: python -m media_gateway"
    _check_choices(given, found, cloud=cloud)
    _check_secrets(given, found, cloud=cloud)
    _check_urls(given, found, cloud=cloud)
    if "handoff_number" in given and not _E164.fullmatch(given["handoff_number"]):
        found["HANDOFF_NUMBER"] = "must be a telephone number such as +15551230000: with the country, and digits only"
    return found


def _check_choices(given: Given, found: dict[str, str], *, cloud: bool) -> None:
    for name, choices in _CHOICES.items():
        if name not in given:
            found[name.upper()] = f"must be said explicitly: {choices}"
        elif cloud and given[name] in _DEMO_CHOICES:
            found[name.upper()] = f"{given[name]!r} is for a laptop and refused on Cloud Run; use {choices}"
    for (name, choice), needed in _NEEDS.items():
        if given.get(name) == choice and needed not in given:
            found.setdefault(needed.upper(), f"is required by {name.upper()}={choice}")


def _check_secrets(given: Given, found: dict[str, str], *, cloud: bool) -> None:
    if "twilio_auth_token" not in given:
        found |= {"TWILIO_AUTH_TOKEN": "is required: it verifies every webhook and media stream (see Twilio's console)"}
    if "jwt_secret" not in given:
        found["JWT_SECRET"] = _MAKE_ONE
    else:
        try:
            keys = parse_jwt_keys(given["jwt_secret"])
        except ValueError as error:
            found["JWT_SECRET"] = str(error)
        else:
            if (cloud or _exposed(given)) and any(len(secret.encode()) < _SHORTEST_KEY for _, secret in keys):
                found["JWT_SECRET"] = f"holds a secret under {_SHORTEST_KEY} bytes; {_MAKE_ONE[13:]}"
    if given.get("callboard_role") != "media":
        if "admin_username" not in given:
            found["ADMIN_USERNAME"] = "is required: who may log in to the dashboard"
        if "admin_password" not in given:
            found["ADMIN_PASSWORD"] = _MAKE_ONE


def _exposed(given: Given) -> bool:
    """True if others than this machine are told where we are."""
    url = given.get("public_base_url")
    return url is not None and not loopback((urlsplit(url).hostname or "").lower())


def _check_urls(given: Given, found: dict[str, str], *, cloud: bool) -> None:
    for name, schemes in _URLS.items():
        if name not in given:
            continue
        url = urlsplit(given[name])
        if url.scheme not in schemes or not url.hostname or url.username is not None:
            found[name.upper()] = f"must be a URL such as {schemes[-1]}://host (without user or password)"
        elif name == "public_base_url" and (url.query or url.fragment or url.path not in ("", "/")):
            found[name.upper()] = "must be an origin only, such as https://calls.example.com"
    if cloud and not given.get("public_base_url", "").startswith("https://"):
        found.setdefault("PUBLIC_BASE_URL", "is required on Cloud Run: the https:// address that Twilio calls")
