"""Read TwiML as strictly as Twilio does: what it says, and every fault in it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from infra.simulators import twiml_rules as rules
from infra.simulators.recorder import (
    DIAL_NUMBER,
    STREAM_HANDSHAKE,
    STREAM_SCHEME,
    STREAM_URL,
    TWIML_PARSE,
    TWIML_SCHEMA,
    Violation,
)


@dataclass(frozen=True, slots=True)
class Stream:
    """`<Connect><Stream>`: a bidirectional media stream; blocks until the gateway closes it."""

    url: str
    parameters: Mapping[str, str]
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Redirect:
    """Fetch the next document there."""

    url: str
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Dial:
    """Ring somebody else. `action` is fetched when that call is over; without it the next verb follows. `url` is
    fetched for whoever answers, before the two are joined; `amd` is told whether a machine did."""

    number: str
    timeout_s: int = 30
    action: str | None = None
    method: str = "POST"
    url: str | None = None
    url_method: str = "POST"
    amd: str | None = None


@dataclass(frozen=True, slots=True)
class Hangup:
    """End the call."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Do not answer the call."""

    reason: str = "rejected"


@dataclass(frozen=True, slots=True)
class Say:
    """Twilio's own voice says this."""

    text: str


@dataclass(frozen=True, slots=True)
class Play:
    """A recording is played."""

    url: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence for so many seconds."""

    seconds: int = 1


@dataclass(frozen=True, slots=True)
class Gather:
    """Say or play `prompts` and wait for keys: `digits` of them (None: until `timeout_s` without one). With keys
    `action` is fetched, without any the next verb follows."""

    prompts: tuple[Say | Play | Pause, ...]
    action: str
    method: str = "POST"
    digits: int | None = None
    timeout_s: int = 5


Verb = Stream | Redirect | Dial | Hangup | Reject | Say | Play | Pause | Gather


@dataclass(frozen=True, slots=True)
class Document:
    """What a TwiML answer says. With a document that cannot be parsed `usable` is False: Twilio ends the call."""

    verbs: tuple[Verb, ...]
    faults: tuple[Violation, ...] = ()
    usable: bool = True


def parse(text: str, *, base_url: str) -> Document:
    """`base_url` is where the document came from: relative URLs in it are resolved against that."""
    if len(text.encode()) > rules.MAX_DOCUMENT_BYTES:
        return _unusable(f"{len(text.encode())} bytes of TwiML; Twilio reads {rules.MAX_DOCUMENT_BYTES}")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        return _unusable("TwiML with a document type or entities")
    try:
        root = ElementTree.fromstring(text.encode())  # noqa: S314 (no entities, bounded: checked above)
    except ElementTree.ParseError as error:
        return _unusable(f"TwiML is not XML ({error}): {text[:80]!r}")
    if root.tag != "Response":
        return _unusable(f"TwiML's root element is <{root.tag}>, not <Response>")
    reader = _Reader(base_url)
    verbs = reader.read(root)
    return Document(verbs, tuple(reader.faults))


def _unusable(what: str) -> Document:
    return Document((), (Violation(TWIML_PARSE, what),), usable=False)


def is_loopback(host: str) -> bool:
    """Does this host name this machine? Only there may a stream go without TLS."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Reader:
    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.faults: list[Violation] = []
        self._read: Mapping[str, Callable[[Element], Verb | None]] = {
            "Connect": self._connect,
            "Dial": self._dial,
            "Gather": self._gather,
            "Hangup": lambda _: Hangup(),
            "Pause": lambda element: Pause(self._whole(element, "length", 1)),
            "Play": lambda element: Play((element.text or "").strip()),
            "Redirect": self._redirect,
            "Reject": lambda element: Reject(element.get("reason", "rejected")),
            "Say": lambda element: Say("".join(element.itertext()).strip()),
        }

    def fault(self, what: str, code: int = TWIML_SCHEMA) -> None:
        self.faults.append(Violation(code, what))

    def read(self, root: Element) -> tuple[Verb, ...]:
        self._attributes(root, frozenset())
        self._no_text(root)
        verbs: list[Verb] = []
        for place, element in enumerate(root):
            if element.tag not in rules.VERBS:
                self.fault(f"<{element.tag}> is not a verb of voice TwiML")
                continue
            self._attributes(element, rules.VERBS[element.tag])
            self._no_text(element)
            if element.tag == "Reject" and place:
                self.fault("<Reject> can only be the first verb")
            read = self._read.get(element.tag)
            if read is None:
                self.fault(f"<{element.tag}> is TwiML, but not one that this phone can follow")
                continue
            verb = read(element)
            if verb is not None:
                verbs.append(verb)
        return tuple(verbs)

    def _attributes(self, element: Element, known: frozenset[str]) -> None:
        for name, value in element.attrib.items():
            if name not in known:
                self.fault(f"<{element.tag}> has no attribute {name!r}")
                continue
            choices = rules.CHOICES.get((element.tag, name))
            if choices and value not in choices:
                self.fault(f"<{element.tag} {name}={value!r}>: one of {', '.join(sorted(choices))}")

    def _no_text(self, element: Element) -> None:
        if element.tag not in rules.TEXT_ALLOWED and (element.text or "").strip():
            self.fault(f"text inside <{element.tag}>: {(element.text or '').strip()[:40]!r}")
        for child in element:
            if (child.tail or "").strip():
                self.fault(f"text after <{child.tag}>: {(child.tail or '').strip()[:40]!r}")

    def _nouns(self, element: Element) -> list[Element]:
        found: list[Element] = []
        for child in element:
            known = rules.NOUNS.get((element.tag, child.tag))
            if known is None:
                self.fault(f"<{child.tag}> cannot stand inside <{element.tag}>")
                continue
            self._attributes(child, known)
            self._no_text(child)
            found.append(child)
        return found

    def _whole(self, element: Element, name: str, default: int) -> int:
        value = element.get(name)
        low, high = rules.WHOLE_NUMBERS[element.tag, name]
        if value is None:
            return default
        if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
            self.fault(f"<{element.tag} {name}={value!r}>: a whole number from {low} to {high}")
            return default
        return int(value)

    def _connect(self, element: Element) -> Verb | None:
        nouns = self._nouns(element)
        if len(nouns) != 1:
            self.fault(f"<Connect> holds {len(nouns)} nouns; it needs exactly one")
            return None
        stream = nouns[0]
        if stream.get("track", "inbound_track") != "inbound_track":
            self.fault(f"<Stream track={stream.get('track')!r}>: a bidirectional stream has the inbound track only")
        callback = stream.get("statusCallback")
        if callback is not None and urlsplit(callback).scheme not in ("http", "https"):
            self.fault(f"<Stream statusCallback={callback!r}> must be absolute")
        url = stream.get("url", "")
        if not self._stream_url(url):
            return None
        return Stream(url, self._parameters(stream), stream.get("name"))

    def _stream_url(self, url: str) -> bool:
        """Faults that keep the stream from opening make this False; Twilio goes on with the next verb."""
        parts = urlsplit(url)
        if not parts.hostname:
            self.fault(f"<Stream url={url!r}> is not an absolute URL", STREAM_URL)
            return False
        if parts.scheme != "wss" and not (parts.scheme == "ws" and is_loopback(parts.hostname)):
            self.fault(f"<Stream url={url!r}>: the scheme must be wss (ws only on this machine)", STREAM_SCHEME)
            return False
        if parts.query or url.endswith("?"):
            self.fault(f"<Stream url={url!r}> has a query string; use <Parameter>", STREAM_HANDSHAKE)
            return False
        if parts.fragment or parts.username is not None:
            self.fault(f"<Stream url={url!r}> has a fragment or a user name", STREAM_URL)
            return False
        return True

    def _parameters(self, stream: Element) -> dict[str, str]:
        parameters: dict[str, str] = {}
        for element in self._nouns(stream):
            name, value = element.get("name"), element.get("value")
            if not name or value is None:
                self.fault("<Parameter> without name or value")
                continue
            if name in parameters:
                self.fault(f"two <Parameter name={name!r}>")
            if len(name) + len(value) >= rules.PARAMETER_CHARS:
                total = len(name) + len(value)
                self.fault(f"<Parameter name={name!r}>: {total} characters; under {rules.PARAMETER_CHARS} together")
                continue
            parameters[name] = value
        return parameters

    def _redirect(self, element: Element) -> Verb | None:
        target = (element.text or "").strip()
        if not target:
            self.fault("<Redirect> without a URL fetches the same document again")
            return None
        return Redirect(self._absolute(target), element.get("method", "POST"))

    def _dial(self, element: Element) -> Verb | None:
        nouns = self._nouns(element)
        numbers = [(noun.text or "").strip() for noun in nouns if noun.tag == "Number"]
        bare = (element.text or "").strip()
        numbers = numbers or ([bare] if bare else [])
        if len(numbers) != 1:
            self.fault(f"<Dial> with {len(numbers)} numbers; this phone follows exactly one")
            return None
        if not rules.E164.fullmatch(numbers[0]):
            self.fault(f"<Dial> to {numbers[0]!r}: not a number in E.164", DIAL_NUMBER)
        action = element.get("action")
        noun = next((noun for noun in nouns if noun.tag == "Number"), element)
        url, amd = (noun.get("url") if noun is not element else None), noun.get("amdStatusCallback")
        if amd is not None and not noun.get("machineDetection"):
            self.fault("<Number amdStatusCallback> without machineDetection is never called")
        return Dial(
            number=numbers[0],
            timeout_s=self._whole(element, "timeout", 30),
            action=self._absolute(action) if action else None,
            method=element.get("method", "POST"),
            url=self._absolute(url) if url else None,
            url_method=noun.get("method", "POST") if url else "POST",
            amd=self._callback(amd) if amd else None,
        )

    def _gather(self, element: Element) -> Verb | None:
        prompts: list[Say | Play | Pause] = []
        for noun in self._nouns(element):
            verb = self._read[noun.tag](noun)
            assert isinstance(verb, Say | Play | Pause)
            prompts.append(verb)
        action = element.get("action")
        return Gather(
            prompts=tuple(prompts),
            action=self._absolute(action) if action else self.base_url,
            method=element.get("method", "POST"),
            digits=self._whole(element, "numDigits", 0) or None,
            timeout_s=self._whole(element, "timeout", 5),
        )

    def _callback(self, url: str) -> str:
        if urlsplit(url).scheme not in ("http", "https"):
            self.fault(f"the callback {url!r} must be absolute")
        return self._absolute(url)

    def _absolute(self, url: str) -> str:
        absolute = urljoin(self.base_url, url)
        if urlsplit(absolute).scheme not in ("http", "https"):
            self.fault(f"{url!r} is not an http(s) URL", TWIML_SCHEMA)
        return absolute
