"""The checks. Each is a small question with one answer; what it stands on failed, and it is skipped, not failed.

`here` looks at this machine, `there` at the project through gcloud, `vendors` asks the vendors themselves.
"""

from __future__ import annotations

import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx2

from infra.gcloud import values
from infra.gcloud.gcloud import Gcloud, GcloudFailed, NoGcloud
from infra.gcloud.kind import JSON
from infra.gcloud.observe import State, locate, observe
from infra.gcloud.place import Place
from infra.gcloud.resources import APIS, SECRETS, resources
from infra.gcloud.vendors import ELEVENLABS, TWILIO, ElevenLabs, Twilio, VendorFailed
from media_gateway.settings_rules import NO_PLACE

State3 = Literal["ok", "fail", "warn", "skip"]
ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 10.0
OLDEST_GCLOUD = 470


@dataclass(frozen=True, slots=True)
class Finding:
    """`fix` is a command or a sentence that can be followed as it stands."""

    group: str
    name: str
    state: State3
    detail: str
    fix: str = ""


def here(environ: Mapping[str, str], which: Callable[[str], str | None] = shutil.which) -> Iterator[Finding]:
    """This machine: enough for `python3 run.py` alone, and what a deployment needs on top."""
    group = "this machine"
    yield Finding(group, "Python", "ok", platform.python_version())
    try:
        import websockets

        yield Finding(group, "WebSocket library", "ok", f"websockets {websockets.version.version}")
    except ImportError:
        yield Finding(group, "WebSocket library", "fail", "missing: every upgrade would be answered 404",
                      f"{sys.executable} -m pip install --require-hashes -r requirements.lock")  # fmt: skip
    lib = ROOT / "media_gateway" / "dashboard" / "static" / "lib"
    if lib.is_dir():
        yield Finding(group, "dashboard's libraries", "ok", "there")
    else:
        yield Finding(group, "dashboard's libraries", "warn", "not fetched yet; `python3 run.py` does it",
                      "python3 run.py")  # fmt: skip
    git = which("git")
    yield Finding(group, "git", "ok" if git else "warn", git or "missing; nothing here needs it",
                  "" if git else _install("git"))  # fmt: skip
    gcloud = which("gcloud")
    if gcloud:
        yield Finding(group, "gcloud", "ok", gcloud)
    else:
        yield Finding(group, "gcloud", "fail", "missing; only a deployment needs it",
                      "https://cloud.google.com/sdk/docs/install   (then: gcloud init)")  # fmt: skip
    yield from _recordings(environ)
    yield from _environment(environ)


def _recordings(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Nothing, unless calls are to be recorded beside a Firestore that is not on this machine, and nowhere."""
    asked = environ.get("CALLBOARD_RECORD", "").strip().lower() in ("1", "true", "yes", "on", "t", "y")
    far = environ.get("CALLBOARD_STORE") == "firestore" and not environ.get("FIRESTORE_EMULATOR_HOST")
    if asked and far and not environ.get("CALLBOARD_AUDIO_BUCKET"):
        yield Finding("this machine", "recordings", "warn", "no bucket: nothing is kept", NO_PLACE)


def _install(package: str) -> str:
    return f"sudo apt-get install {package}" if shutil.which("apt-get") else f"install {package}"


_SHAPES = {
    "TWILIO_ACCOUNT_SID": (re.compile(r"AC[0-9a-f]{32}"), "AC and 32 hex digits", "console.twilio.com, Account info"),
    "TWILIO_AUTH_TOKEN": (re.compile(r"[0-9a-f]{32}"), "32 hex digits", "console.twilio.com, Account info"),
    "TWILIO_PHONE_NUMBER": (
        re.compile(r"\+[1-9][0-9]{6,14}"),
        "such as +15551230000",
        "console.twilio.com, Phone Numbers",
    ),
    "DEEPGRAM_API_KEY": (re.compile(r"\S{20,}"), "one long word", "console.deepgram.com, API Keys"),
    "OPENAI_API_KEY": (re.compile(r"sk-\S{16,}"), "sk-...", "platform.openai.com, API keys"),
    "HANDOFF_NUMBER": (re.compile(r"\+[1-9][0-9]{6,14}"), "such as +15551230000", "the telephone of a person"),
    "ELEVENLABS_API_KEY": (re.compile(r"\S{16,}"), "one long word", "elevenlabs.io, API keys"),
}
_OPTIONAL = ("HANDOFF_NUMBER", "ELEVENLABS_API_KEY")


def _environment(environ: Mapping[str, str]) -> Iterator[Finding]:
    """The keys that `up` would take; their form, never their value."""
    group = "keys in the environment"
    for name, (shape, form, where) in _SHAPES.items():
        value = environ.get(name, "").strip()
        if value and shape.fullmatch(value):
            yield Finding(group, name, "ok", f"set, {len(value)} characters")
        elif value:
            yield Finding(
                group, name, "fail", f"set, but it does not look right: {form}", f"export {name}=...   ({where})"
            )
        elif name in _OPTIONAL:
            what = "callers who want a person leave a message" if name == "HANDOFF_NUMBER" else "no hosted calls"
            yield Finding(group, name, "warn", f"not set: {what}", f"export {name}=...   ({where})")
        else:
            yield Finding(group, name, "fail", "not set", f"export {name}=...   ({where})")


def there(gcloud: Gcloud, place: Place) -> Iterator[Finding]:
    """The login and the project, as far as reading shows them."""
    group = f"project {place.project}"
    try:
        version = gcloud.read(("version", JSON))
        core = str(version.get("Google Cloud SDK", "0"))
        old = int(core.partition(".")[0] or 0) < OLDEST_GCLOUD
        yield Finding(group, "gcloud version", "warn" if old else "ok", core, "gcloud components update" if old else "")
        missing = [part for part in ("alpha",) if part not in version]
        if missing:
            yield Finding(group, "gcloud alpha", "fail", "missing; alerts are made with it",
                          "gcloud components install alpha   (Debian: it comes with google-cloud-cli)")  # fmt: skip
        accounts = gcloud.read(("auth", "list", "--filter=status:ACTIVE", JSON))
        if not accounts and not _token_given(gcloud):
            yield Finding(group, "login", "fail", "nobody is logged in", "gcloud auth login")
            return
        yield Finding(group, "login", "ok", accounts[0]["account"] if accounts else "by an access token")
        place = locate(gcloud, place)
    except NoGcloud:
        yield Finding(group, "everything in the project", "skip", "gcloud is missing")
        return
    except GcloudFailed as problem:
        yield Finding(group, "project", "fail", _first(problem),
                      "gcloud projects list  (then --project ID), or gcloud projects create ID")  # fmt: skip
        return
    yield Finding(group, "project", "ok", f"number {place.number}")
    yield from _billing(gcloud, place, group)
    try:
        state = observe(gcloud, place, resources(place), {"secret", "database"})
    except GcloudFailed as problem:
        yield Finding(group, "resources", "fail", _first(problem), "ask for roles/viewer on the project")
        return
    yield from _state(gcloud, place, state, group)


def _token_given(gcloud: Gcloud) -> bool:
    try:
        return bool(gcloud.read(("config", "get", "auth/access_token_file", JSON)))
    except GcloudFailed:
        return False


def _billing(gcloud: Gcloud, place: Place, group: str) -> Iterator[Finding]:
    try:
        billing = gcloud.read(("billing", "projects", "describe", place.project, JSON))
    except GcloudFailed as problem:
        yield Finding(group, "billing", "warn", f"cannot be seen: {_first(problem)}", "ask a billing viewer to look")
        return
    if billing.get("billingEnabled"):
        yield Finding(group, "billing", "ok", "enabled")
    else:
        fix = f"gcloud billing accounts list; gcloud billing projects link {place.project} --billing-account=ID"
        yield Finding(group, "billing", "fail", "no billing account", fix)


def _state(gcloud: Gcloud, place: Place, state: State, group: str) -> Iterator[Finding]:
    off = [name for name in APIS if not state.has("api", name)]
    detail = f"{len(off)} of {len(APIS)} are off; `up` enables them" if off else f"all {len(APIS)} enabled"
    fix = f"gcloud services enable {' '.join(off)} --project={place.project}" if off else ""
    yield Finding(group, "APIs", "warn" if off else "ok", detail, fix)
    if "run.googleapis.com" not in off:
        known = [one["locationId"] for one in gcloud.read(("run", "regions", "list", JSON))]
        if place.region in known:
            yield Finding(group, "region", "ok", place.region)
        else:
            yield Finding(group, "region", "fail", f"Cloud Run is not in {place.region}", f"--region {known[0]}")
    database = state.found.get("database", {}).get(place.database)
    if database and database["type"] != "FIRESTORE_NATIVE":
        yield Finding(group, "Firestore", "fail", f"{place.database} is a database in Datastore mode, and stays one",
                      "another project, or a system with a database of its own: --env NAME")  # fmt: skip
    elif database and database["location"] != place.region:
        yield Finding(group, "Firestore", "fail", f"{place.database} is in {database['location']}",
                      f"--region {database['location']}, or --env NAME for a database of its own")  # fmt: skip
    else:
        yield Finding(group, "Firestore", "ok", "there" if database else "not made yet; `up` makes it")
    versions = values.versions(gcloud, place, state)
    lacking = [secret.variable for secret in SECRETS if secret.required and secret.name not in versions]
    if lacking:
        yield Finding(group, "secrets", "warn", f"no version yet of {', '.join(lacking)}", "up stores them")
    else:
        yield Finding(group, "secrets", "ok", f"{len(versions)} stored")


def vendors(environ: Mapping[str, str]) -> Iterator[Finding]:
    """The keys of the environment, tried: reading requests only, nothing is bought or called."""
    group = "vendors"
    names = ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_PHONE_NUMBER")
    if all(environ.get(name) for name in names):
        base = environ.get("TWILIO_API_BASE_URL", "").rstrip("/") or TWILIO
        sid, token, number = (environ[name] for name in names)
        try:
            found = Twilio(account_sid=sid, auth_token=token, number=number, base=base).find()
            yield Finding(group, "Twilio", "ok", f"owns the number; it calls {found.get('voice_url') or 'nothing'}")
        except VendorFailed as problem:
            yield Finding(group, "Twilio", "fail", str(problem), "see the keys above")
    else:
        yield Finding(group, "Twilio", "skip", "its three variables are not set")
    deepgram = environ.get("DEEPGRAM_BASE_URL", "").replace("ws", "http", 1).rstrip("/") or "https://api.deepgram.com"
    openai = environ.get("OPENAI_BASE_URL", "").rstrip("/") or "https://api.openai.com/v1"
    for name, variable, url, header, scheme in (
        ("Deepgram", "DEEPGRAM_API_KEY", f"{deepgram}/v1/projects", "Authorization", "Token "),
        ("OpenAI", "OPENAI_API_KEY", f"{openai}/models", "Authorization", "Bearer "),
    ):
        yield _asked(group, name, variable, url, {header: scheme + environ.get(variable, "")}, environ)
    if key := environ.get("ELEVENLABS_API_KEY", ""):
        base = environ.get("ELEVENLABS_BASE_URL", "").rstrip("/") or ELEVENLABS
        try:
            hooks = len(ElevenLabs(api_key=key, base=base).webhooks())
            yield Finding(group, "ElevenLabs", "ok", f"the key is good; {hooks} webhooks")
        except VendorFailed as problem:
            yield Finding(
                group, "ElevenLabs", "fail", str(problem), "export ELEVENLABS_API_KEY=...   (elevenlabs.io, API keys)"
            )
    else:
        yield Finding(group, "ElevenLabs", "skip", "ELEVENLABS_API_KEY is not set")


def _asked(
    group: str, name: str, variable: str, url: str, headers: Mapping[str, str], environ: Mapping[str, str]
) -> Finding:
    if not environ.get(variable):
        return Finding(group, name, "skip", f"{variable} is not set")
    try:
        with httpx2.Client(timeout=TIMEOUT_S) as client:
            status = client.get(url, headers=dict(headers)).status_code
    except httpx2.HTTPError as error:
        return Finding(group, name, "warn", f"not reached ({type(error).__name__})", "try again with a network")
    if status == 200:
        return Finding(group, name, "ok", "the key is good")
    fix = f"export {variable}=...   ({_SHAPES[variable][2]})"
    return Finding(group, name, "fail", f"answered {status} to the key", fix)


def _first(problem: GcloudFailed) -> str:
    return str(problem).splitlines()[0].partition(": ")[2][:160]
