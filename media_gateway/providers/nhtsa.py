"""What a VIN stands for, from the US road safety agency (NHTSA vPIC, no key).

`GET {base}/vehicles/DecodeVinValues/{vin}?format=json[&modelyear=2011]` answers 200 with `{"Results": [{...}]}`, all
values text, "" or "Not Applicable" where it knows nothing; it says so in `ErrorCode` too, a list with commas of which
only "make and year are missing" matters here. Often slow: a deadline, no retry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx2

from media_gateway.tools.services import EffectFailed

DEADLINE_S = 3.0
_FIELDS = {
    "make": "Make",
    "model": "Model",
    "year": "ModelYear",
    "trim": "Trim",
    "body": "BodyClass",
    "engine": "DisplacementL",
    "fuel": "FuelTypePrimary",
}


class Nhtsa:
    """`tools.services.VinService`. `aclose` when done."""

    def __init__(self, base_url: str, *, deadline_s: float = DEADLINE_S) -> None:
        self._client = httpx2.AsyncClient(base_url=base_url.rstrip("/"), timeout=deadline_s)
        self._deadline_s = deadline_s

    async def decode(self, vin: str, model_year: int | None) -> Mapping[str, str] | None:
        """See `VinService`."""
        query: dict[str, Any] = {"format": "json"} | ({} if model_year is None else {"modelyear": model_year})
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await self._client.get(f"/vehicles/DecodeVinValues/{vin}", params=query)
            answer.raise_for_status()
            (found, *_) = answer.json()["Results"]
            vehicle = {name: _known(found.get(theirs)) for name, theirs in _FIELDS.items()}
        except (httpx2.HTTPError, TimeoutError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise EffectFailed(type(error).__name__) from error
        if not vehicle["make"] or not vehicle["year"]:
            return None
        if vehicle["make"].isupper() and len(vehicle["make"]) > 3:
            vehicle["make"] = vehicle["make"].title()  # said and shown; BMW stays BMW
        return {name: value for name, value in vehicle.items() if value}

    async def aclose(self) -> None:
        """Safe to call twice."""
        await self._client.aclose()


def _known(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    return "" if text.lower() in ("not applicable", "null") else text[:80]
