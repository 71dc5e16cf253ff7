"""Would the gateway start with what it is to be told? Asked before anything is made, of the gateway's own settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from media_gateway.settings import SettingsError, load

_STAND_IN = "x" * 40
"""For a secret whose value is not looked at: it is stored already, or will be made up."""


def environment(service: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, str]:
    """The variables of a service as its container will see them; of secrets those that are known here."""
    found = {"K_SERVICE": service["metadata"]["name"]}
    for variable in service["spec"]["template"]["spec"]["containers"][0]["env"]:
        name = variable["name"]
        found[name] = variable["value"] if "value" in variable else secrets.get(name, "").strip() or _STAND_IN
    return found


def unfit(documents: Iterable[Mapping[str, Any]], secrets: Mapping[str, str]) -> dict[str, str]:
    """Variable -> what is wrong with it."""
    found: dict[str, str] = {}
    for service in documents:
        told = environment(service, secrets)
        if "FUNCTION_TARGET" not in told:
            try:
                load(told)
            except SettingsError as wrong:
                found |= wrong.problems
    return found
