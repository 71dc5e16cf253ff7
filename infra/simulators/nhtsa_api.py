"""The US road safety agency's VIN service (vPIC) on loopback, in its own shapes: 200 for whatever is asked, all values
text, `ErrorCode` a list with commas. Nothing of the product is imported.

    async with NhtsaApi() as nhtsa:
        nhtsa.vehicles["1HGCM82633A004352"] = {"Make": "HONDA", "Model": "Accord", "ModelYear": "2003"}
        ...                                     # the product is told NHTSA_BASE_URL=nhtsa.url
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

Trouble = Literal["hang", "500", "html", "empty"]
_EMPTY = {"Make": "", "Model": "", "ModelYear": "", "Trim": "", "BodyClass": "Not Applicable", "FuelTypePrimary": ""}
ACCORD = {
    "Make": "HONDA",
    "Model": "Accord",
    "ModelYear": "2003",
    "Trim": "EX-V6",
    "BodyClass": "Coupe",
    "DisplacementL": "2.998832712",
    "FuelTypePrimary": "Gasoline",
}


@dataclass(slots=True, kw_only=True)
class NhtsaApi:
    """`vehicles` by VIN; of others it knows nothing. `trouble` befalls every request while it is set."""

    vehicles: dict[str, Mapping[str, str]] = field(default_factory=lambda: {"1HGCM82633A004352": ACCORD})
    trouble: Trouble | None = None
    hang_s: float = 60.0
    port: int = 0
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    _server: _Server | None = None
    _serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """NHTSA_BASE_URL."""
        return f"http://127.0.0.1:{self.port}/api"

    async def __aenter__(self) -> Self:
        listening = socket.create_server(("127.0.0.1", self.port))
        self.port = listening.getsockname()[1]
        app = Starlette(routes=[Route("/api/vehicles/DecodeVinValues/{vin}", self._decode)])
        config = uvicorn.Config(
            app, lifespan="off", ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        assert self._serving is not None
        self._server.should_exit = True
        await self._serving

    async def _decode(self, request: Request) -> Response:
        vin = request.path_params["vin"].upper()
        self.asked.append((vin, request.query_params.get("modelyear")))
        match self.trouble:
            case "hang":
                await asyncio.sleep(self.hang_s)
            case "500":
                return PlainTextResponse("Internal Server Error", 500)
            case "html":
                return PlainTextResponse("<html>Down for maintenance</html>")
            case "empty":
                return JSONResponse({"Count": 0, "Message": "", "SearchCriteria": f"VIN:{vin}", "Results": []})
        known = vin in self.vehicles
        result: dict[str, Any] = {
            "VIN": vin,
            **_EMPTY,
            **self.vehicles.get(vin, {}),
            "ErrorCode": "0" if known else "7,11",
            "ErrorText": "0 - VIN decoded clean." if known else "7 - Manufacturer is not registered",
        }
        body = {"Count": 1, "Message": "Results returned", "SearchCriteria": f"VIN:{vin}", "Results": [result]}
        return JSONResponse(body)


class _Server(uvicorn.Server):
    """Signals belong to whoever runs the simulator."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
