"""Values of settings and secrets: from the environment of whoever deploys, else what is there already.

Nothing is asked twice: a setting that is not in the environment stays as the running service has it, a secret that has
a version stays as it is. Values of secrets are in memory only, and go to gcloud by standard input.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from infra.gcloud.gcloud import Gcloud, GcloudFailed
from infra.gcloud.kind import JSON
from infra.gcloud.model import Command, Secret
from infra.gcloud.observe import AT_ONCE, State
from infra.gcloud.place import Place
from infra.gcloud.release import Running, running
from infra.gcloud.resources import SECRETS, components

Environ = Mapping[str, str]
_NEEDED = {
    "TWILIO_ACCOUNT_SID": "which Twilio account (AC...)",
    "TWILIO_PHONE_NUMBER": "the number that is answered, such as +15551230000",
}


class Missing(Exception):
    """Variables that must be set before anything is made; the text says which and why."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        lines = [f"  {name}: {what}" for name, what in problems.items()]
        super().__init__("Set these in the environment (never as arguments) and run it again:\n" + "\n".join(lines))


@dataclass(frozen=True, slots=True)
class SecretPlan:
    """What happens to one secret: `version` is the one that is there ("" for none), `adds` why a new one is made."""

    secret: Secret
    version: str
    adds: str = ""


def settings(place: Place, environ: Environ, state: State) -> dict[str, str]:
    """The settings that components may be told."""
    found: dict[str, str] = {}
    for component in components(place):
        there = state.services.get(place.named(component.name))
        if there:
            running_env = running(there).env
            found |= {name: running_env[name] for name in component.settings if name in running_env}
    named = {name for component in components(place) for name in component.settings}
    return found | {name: environ[name].strip() for name in sorted(named) if environ.get(name, "").strip()}


def retention_days(told: Mapping[str, str]) -> int:
    """How long what is written down stays. What is no number is told by `fit`."""
    days = told.get("CALLBOARD_RETENTION_DAYS", "")
    return int(days) if days.isdecimal() and int(days) else 30


def missing(place: Place, environ: Environ, state: State, versions: Mapping[str, str]) -> dict[str, str]:
    """Variable -> why it is needed, for everything without which the system would not start. `versions` are those that
    the secrets have."""
    told = settings(place, environ, state)
    found = {name: why for name, why in _NEEDED.items() if name not in told}
    for secret in SECRETS:
        needed = secret.required and secret.origin == "vendor"
        if needed and not environ.get(secret.variable, "").strip() and not versions.get(secret.name):
            found[secret.variable] = secret.why
    chosen = told.get("CALLBOARD_TTS", "deepgram")
    key = "ELEVENLABS_API_KEY"
    if chosen == "elevenlabs" and not environ.get(key) and not versions.get("elevenlabs-api-key"):
        found[key] = "CALLBOARD_TTS=elevenlabs speaks with it"
    return found


def versions(gcloud: Gcloud, place: Place, state: State) -> dict[str, str]:
    """The newest enabled version of each secret that has one, by short name."""
    names = [secret.name for secret in SECRETS if state.has("secret", place.named(secret.name))]

    def newest(name: str) -> str:
        listed = gcloud.read(("secrets", "versions", "list", place.named(name), "--filter=state=ENABLED", JSON))
        numbers = [int(item["name"].rpartition("/")[2]) for item in listed]
        return str(max(numbers)) if numbers else ""

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(names, pool.map(newest, names), strict=True))
    return {name: version for name, version in found.items() if version}


def plan_secrets(gcloud: Gcloud, place: Place, environ: Environ, there: Mapping[str, str]) -> list[SecretPlan]:
    """What happens to each secret. A value in the environment is compared with the version that is there, in memory."""
    found = []
    for secret in SECRETS:
        version, given = there.get(secret.name, ""), environ.get(secret.variable, "").strip()
        why = ""
        if not version:
            why = "first version" if given else ("made up" if secret.origin == "made" else "")
        elif given and given != value(gcloud, place, secret.name, version):
            why = f"{secret.variable} has changed"
        found.append(SecretPlan(secret, version, why))
    return found


def value(gcloud: Gcloud, place: Place, name: str, version: str = "latest") -> str:
    """A secret's value. Raises GcloudFailed."""
    return gcloud.run(Command(("secrets", "versions", "access", version, f"--secret={place.named(name)}")))


def add_version(gcloud: Gcloud, place: Place, name: str, text: str) -> str:
    """A new version; its number. Raises GcloudFailed."""
    made = Command(("secrets", "versions", "add", place.named(name), "--data-file=-", JSON), stdin=text)
    answer = gcloud.run(made)
    try:
        return str(json.loads(answer)["name"]).rpartition("/")[2]
    except (ValueError, KeyError) as error:
        raise GcloudFailed("refused", made.argv, "gcloud did not say which version it made") from error


def fill(
    gcloud: Gcloud, place: Place, environ: Environ, plans: list[SecretPlan], told: Callable[[str], None]
) -> dict[str, str]:
    """Make the versions that are planned; the pinned version of each secret that has one."""
    found: dict[str, str] = {}
    for one in plans:
        version = one.version
        if one.adds:
            text = environ.get(one.secret.variable, "").strip() or made_up(one.secret)
            version = add_version(gcloud, place, one.secret.name, text)
            told(f"secret {place.named(one.secret.name)}: version {version} ({one.adds})")
        if version:
            found[one.secret.name] = version
    return found


def made_up(secret: Secret) -> str:
    """A value that nobody has seen."""
    text = secrets.token_urlsafe(32)
    return f"k1:{text}" if secret.variable == "JWT_SECRET" else text


def pinned(place: Place, there: Mapping[str, Running]) -> dict[str, str]:
    """The versions that the running services use, by short name: what a release keeps."""
    found: dict[str, str] = {}
    for one in there.values():
        for name, version in one.versions.items():
            found[name.removeprefix(f"{place.prefix}-")] = version
    return found
