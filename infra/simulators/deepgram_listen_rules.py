"""What Deepgram's `listen` takes and what it refuses: the query, the key, and the control messages. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

MAX_KEYTERM_TOKENS = 500


@dataclass(frozen=True, slots=True)
class Wrong(Exception):
    """The vendor does not take this."""

    what: str

    def __str__(self) -> str:
        return self.what


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a stream was opened with, as far as it changes what is heard here."""

    model: str
    interim: bool = False
    endpointing_ms: int | None = 10
    utterance_end_ms: int | None = None
    vad_events: bool = False
    keyterms: tuple[str, ...] = ()
    eot: float = 0.7
    eager: float | None = None
    timeout_ms: int = 5_000


def _number(low: float, high: float) -> Callable[[str], bool]:
    def check(value: str) -> bool:
        return bool(re.fullmatch(r"[0-9]+(\.[0-9]+)?", value)) and low <= float(value) <= high

    return check


def _one_of(*choices: str) -> Callable[[str], bool]:
    return lambda value: value in choices


def _whole(low: int, high: int) -> Callable[[str], bool]:
    return lambda value: value.isdecimal() and low <= int(value) <= high


_FLAG = _one_of("true", "false")
_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{2,8})*").fullmatch


def _tag(value: str) -> bool:
    return bool(_TAG(value))


def _some(value: str) -> bool:
    return bool(value.strip())


_ENCODING = _one_of("mulaw")
_V1: Mapping[str, Callable[[str], bool]] = {
    "model": lambda value: bool(re.fullmatch(r"nova-[23](-[a-z]+)?", value)),
    "encoding": _ENCODING,
    "sample_rate": _one_of("8000"),
    "channels": _one_of("1"),
    "language": _tag,
    "language_hint": _tag,
    "interim_results": _FLAG,
    "endpointing": lambda value: value in ("true", "false") or _whole(0, 10_000)(value),
    "utterance_end_ms": _whole(1_000, 5_000),
    "vad_events": _FLAG,
    "smart_format": _FLAG,
    "punctuate": _FLAG,
    "numerals": _FLAG,
    "profanity_filter": _FLAG,
    "multichannel": _one_of("false"),
    "mip_opt_out": _FLAG,
    "keyterm": _some,
    "tag": _some,
}
_V2: Mapping[str, Callable[[str], bool]] = {
    "model": _one_of("flux-general-en", "flux-general-multi"),
    "encoding": _ENCODING,
    "sample_rate": _one_of("8000"),
    "eot_threshold": _number(0.5, 1.0),
    "eager_eot_threshold": _number(0.3, 0.9),
    "eot_timeout_ms": _whole(500, 60_000),
    "language_hint": _tag,
    "keyterm": _some,
    "numerals": _FLAG,
    "profanity_filter": _FLAG,
    "mip_opt_out": _FLAG,
    "tag": _some,
}
_REPEATABLE = {"keyterm", "language_hint", "tag"}


def check_query(path: str) -> tuple[str, Wishes]:
    """The API (`v1` or `v2`) and the wishes. Raises Wrong."""
    url = urlsplit(path)
    rules = {"/v1/listen": _V1, "/v2/listen": _V2}.get(url.path)
    if rules is None:
        raise Wrong(f"no such path: {url.path}")
    pairs = parse_qsl(url.query, keep_blank_values=True)
    given: dict[str, str] = {}
    for name, value in pairs:
        check = rules.get(name)
        if check is None:
            raise Wrong(f"unknown parameter {name}")
        if name in given and name not in _REPEATABLE:
            raise Wrong(f"{name} is given twice")
        if not check(value):
            raise Wrong(f"{name} cannot be {value!r}")
        given[name] = value
    for name in ("model", "encoding", "sample_rate"):
        if name not in given:
            raise Wrong(f"{name} is required for raw audio" if name != "model" else "model is required")
    terms = tuple(value for name, value in pairs if name == "keyterm")
    return url.path[1:3], _wishes_v1(given, terms) if rules is _V1 else _wishes_v2(given, terms)


def _wishes_v1(given: Mapping[str, str], terms: tuple[str, ...]) -> Wishes:
    interim = given.get("interim_results") == "true"
    if "utterance_end_ms" in given and not interim:
        raise Wrong("utterance_end_ms needs interim_results=true")
    if terms and not given["model"].startswith("nova-3"):
        raise Wrong("keyterm needs nova-3")
    _check_terms(terms)
    endpointing = given.get("endpointing", "10")
    return Wishes(
        model=given["model"],
        interim=interim,
        endpointing_ms=None if endpointing == "false" else 10 if endpointing == "true" else int(endpointing),
        utterance_end_ms=int(given["utterance_end_ms"]) if "utterance_end_ms" in given else None,
        vad_events=given.get("vad_events") == "true",
        keyterms=terms,
    )


def _wishes_v2(given: Mapping[str, str], terms: tuple[str, ...]) -> Wishes:
    if "language_hint" in given and given["model"] != "flux-general-multi":
        raise Wrong("language_hint needs flux-general-multi")
    _check_terms(terms)
    wishes = Wishes(
        model=given["model"],
        keyterms=terms,
        eot=float(given.get("eot_threshold", "0.7")),
        eager=float(given["eager_eot_threshold"]) if "eager_eot_threshold" in given else None,
        timeout_ms=int(given.get("eot_timeout_ms", "5000")),
    )
    _check_eager(wishes.eot, wishes.eager)
    return wishes


def _check_eager(eot: float, eager: float | None) -> None:
    if eager is not None and eager > eot:
        raise Wrong("eager_eot_threshold must not be above eot_threshold")


def _check_terms(terms: tuple[str, ...]) -> None:
    if sum(len(term.split()) + len(term) // 4 for term in terms) > MAX_KEYTERM_TOKENS:
        raise Wrong("the keyterms have more than 500 tokens")


def control(text: str, api: str) -> dict[str, Any]:
    """A control message. Raises Wrong for what the vendor cannot read or does not know."""
    try:
        message = json.loads(text)
    except ValueError:
        raise Wrong("not JSON") from None
    known = {"v1": ("KeepAlive", "Finalize", "CloseStream", "Configure")}.get(
        api, ("CloseStream", "Configure", "ForceEndTurn")
    )
    if not isinstance(message, dict) or message.get("type") not in known:
        raise Wrong("unknown message")
    return message


_CONFIGURE = {"v1": {"type", "keyterms", "features"}, "v2": {"type", "thresholds", "keyterms", "language_hints"}}


def configured(message: Mapping[str, Any], wishes: Wishes, api: str) -> Wishes:
    """The wishes after a Configure. Raises Wrong: then they stay as they were."""
    if extra := set(message) - _CONFIGURE[api]:
        raise Wrong(f"unknown field {sorted(extra)[0]}")
    terms = wishes.keyterms
    if message.get("keyterms") is not None:
        if not isinstance(message["keyterms"], list) or not all(isinstance(term, str) for term in message["keyterms"]):
            raise Wrong("keyterms must be a list of strings")
        terms = tuple(message["keyterms"])
        _check_terms(terms)
    limits = message.get("thresholds") or {}
    rules = {name: _V2[name] for name in ("eot_threshold", "eager_eot_threshold", "eot_timeout_ms")}
    for name, value in limits.items():
        if name not in rules or not rules[name](str(value)):
            raise Wrong(f"{name} cannot be {value!r}")
    eot = float(limits.get("eot_threshold", wishes.eot))
    eager = limits.get("eager_eot_threshold", wishes.eager)
    _check_eager(eot, eager)
    return Wishes(
        model=wishes.model,
        interim=wishes.interim,
        endpointing_ms=wishes.endpointing_ms,
        utterance_end_ms=wishes.utterance_end_ms,
        vad_events=wishes.vad_events,
        keyterms=terms,
        eot=eot,
        eager=None if eager is None else float(eager),
        timeout_ms=int(limits.get("eot_timeout_ms", wishes.timeout_ms)),
    )
