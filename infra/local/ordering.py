"""A call that Callboard places to one of our telephones: the telephone is made ready, and the call is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra.local.backstage import OWN_SYSTEM
from infra.local.clients import Api
from infra.simulators.callee import Callee
from infra.simulators.config import new_sid
from infra.simulators.fields import ScenarioError
from infra.simulators.placing import Placing
from infra.simulators.report import Observer
from infra.simulators.scenario import Scenario
from infra.simulators.twilio_api import TwilioApi

OURS = "+14155550100"


def account(twilio: TwilioApi) -> dict[str, str]:
    """What a system is told so that it takes this for its Twilio account."""
    return {
        "TWILIO_AUTH_TOKEN": twilio.auth_token,
        "TWILIO_ACCOUNT_SID": twilio.account_sid,
        "TWILIO_PHONE_NUMBER": OURS,
        "TWILIO_API_BASE_URL": twilio.url,
    }


def callee(scenario: Scenario, placed: Placing) -> Callee:
    """Whoever is behind the scenario's number."""
    match placed.answered_by:
        case "nobody":
            return Callee(scenario=scenario, outcome="no-answer")
        case "busy":
            return Callee(scenario=scenario, outcome="busy")
        case "machine":
            return Callee(scenario=scenario, verdict="machine_end_beep", verdict_after_s=placed.verdict_after_s)
    return Callee(scenario=scenario, verdict="human", verdict_after_s=placed.verdict_after_s)


async def order(
    twilio: TwilioApi | None,
    api: Api,
    scenario: Scenario,
    standing: Mapping[str, Any] | None,
    *,
    wav_dir: Path | None = None,
    observer: Observer | None = None,
) -> str:
    """The id of the call that was placed. Raises ScenarioError, httpx2.HTTPStatusError."""
    placed = scenario.placed
    if twilio is None or placed is None:
        raise ScenarioError(f"{scenario.name} is a call that Callboard places, and {OWN_SYSTEM}")
    twilio.phones[scenario.caller] = replace(callee(scenario, placed), wav_dir=wav_dir, observer=observer)
    variables = {**placed.variables, **({"appointment": standing} if standing else {})}
    body = {"to": scenario.caller, "flow": placed.flow, "variables": variables}
    answer = await api.post("/api/v1/calls", body, headers={"Idempotency-Key": new_sid("KE")})
    call_id: str = answer["call_id"]
    return call_id
