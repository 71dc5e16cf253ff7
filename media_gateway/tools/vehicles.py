"""What car a VIN stands for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field

from media_gateway.tools.port import ToolContext, ToolResult
from media_gateway.tools.router import tool
from media_gateway.tools.services import EffectFailed
from realtime.clock import iso
from realtime.paths import digest
from realtime.records import vin as rules
from realtime.stores.port import Put

KEPT = timedelta(days=365)
_WRONG = {
    "length": "A VIN has 17 characters, and I have {count}. Would you read it to me once more, slowly?",
    "characters": "There is a character in it that no VIN has. Would you read it to me once more, slowly?",
    "check_digit": "That VIN does not add up, so one character must be wrong. Would you read it once more, slowly?",
    "positions": "That VIN does not add up, so one character must be wrong. Would you read it once more, slowly?",
}


@tool(deadline_s=4.5)
async def decode_vin(
    context: ToolContext,
    vin: Annotated[str, Field(description="the VIN as the caller said it", min_length=1, max_length=400)],
) -> ToolResult:
    """Find out make, model and year of a car by its vehicle identification number. Takes up to three seconds: say
    something meanwhile."""
    number = rules.from_speech(vin)
    wrong = rules.problem(number)
    if wrong is not None:
        message = _WRONG[wrong].format(count=len(number))
        return ToolResult(ok=False, data={"reason": "invalid_vin", "problem": wrong, "message": message})
    path = f"vins/{digest(number)}"
    (kept,) = await context.store.get(path)
    if kept is not None:
        return _found(number, kept.data["vehicle"])
    try:
        vehicle = (
            await context.services.vins.decode(number, rules.model_year(number)) if context.services.vins else None
        )
    except EffectFailed:
        vehicle = None
    if vehicle is None:
        return _undecoded(number)
    record = {"vehicle": dict(vehicle), "expire_at": iso(context.now + KEPT)}
    return _found(number, vehicle, Put(path, record))


def _found(number: str, vehicle: Mapping[str, str], *writes: Put) -> ToolResult:
    say = " ".join(vehicle[name] for name in ("year", "make", "model") if vehicle.get(name))
    return ToolResult(ok=True, data={"vin": number, "decoded": True, **vehicle, "say": say}, writes=writes)


def _undecoded(number: str) -> ToolResult:
    """The VIN is fine, only nobody says what it stands for: it is taken down, and people look later."""
    message = "I have noted the VIN. I cannot look the car up right now, but our people will."
    data: dict[str, Any] = {"vin": number, "decoded": False, "message": message}
    year = rules.model_year(number)
    return ToolResult(ok=True, data=data if year is None else {**data, "year": str(year)})
