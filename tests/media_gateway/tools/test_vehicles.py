"""VINs: rules first, then the service on loopback, then the cache; and politely when it does not answer."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from infra.simulators.nhtsa_api import NhtsaApi, Trouble
from media_gateway.providers.nhtsa import Nhtsa
from media_gateway.tools.services import Services
from realtime.stores.embedded import EmbeddedStore
from tests.media_gateway.tools.scene import NOW, Scene

pytestmark = pytest.mark.anyio

ACCORD = "1HGCM82633A004352"


@asynccontextmanager
async def garage(tmp_path: Path, *, deadline_s: float = 3.0) -> AsyncIterator[tuple[Scene, NhtsaApi]]:
    async with NhtsaApi(hang_s=1.0) as nhtsa:
        service = Nhtsa(nhtsa.url, deadline_s=deadline_s)
        store = EmbeddedStore(tmp_path / "callboard.db", clock=lambda: NOW)
        try:
            yield Scene(store, Services(vins=service)), nhtsa
        finally:
            await service.aclose()
            await store.aclose()


async def test_decoded_and_then_known(tmp_path: Path) -> None:
    async with garage(tmp_path) as (scene, nhtsa):
        said = "I H G C M 8 2 6 3 3 A O O 4 3 5 2"
        found = await scene.do("CA1", None, "decode_vin", vin=said)
        assert found.ok
        assert found.data == {
            "vin": ACCORD, "decoded": True, "say": "2003 Honda Accord", "make": "Honda", "model": "Accord",
            "year": "2003", "trim": "EX-V6", "body": "Coupe", "engine": "2.998832712", "fuel": "Gasoline",
        }  # fmt: skip
        nhtsa.trouble = "500"
        again = await scene.do("CA2", None, "decode_vin", vin=ACCORD)
        assert again.data == found.data
        assert nhtsa.asked == [(ACCORD, "2003")], "asked once, with the year that the VIN says"


@pytest.mark.parametrize(
    ("said", "problem", "words"),
    [
        ("1HGCM82633A004353", "check_digit", "does not add up"),
        ("1HGCM82633A00435", "length", "I have 16"),
        ("1HGCM82633A00435?", "characters", "no VIN has"),
    ],
)
async def test_what_cannot_be_a_vin_is_asked_of_nobody(tmp_path: Path, said: str, problem: str, words: str) -> None:
    async with garage(tmp_path) as (scene, nhtsa):
        refused = await scene.do("CA1", None, "decode_vin", vin=said)
        assert (refused.ok, refused.data["reason"], refused.data["problem"]) == (False, "invalid_vin", problem)
        assert words in refused.data["message"]
        assert nhtsa.asked == []


@pytest.mark.parametrize("trouble", ["hang", "500", "html", "empty"])
async def test_without_an_answer_the_vin_is_noted_and_the_caller_asked(tmp_path: Path, trouble: Trouble) -> None:
    async with garage(tmp_path, deadline_s=0.2) as (scene, nhtsa):
        nhtsa.trouble = trouble
        started = time.monotonic()
        noted = await scene.do("CA1", None, "decode_vin", vin=ACCORD)
        assert time.monotonic() - started < 0.9
        assert (noted.ok, noted.data["decoded"], noted.data["year"]) == (True, False, "2003")
        assert noted.data["message"].startswith("I have noted the VIN.")
        nhtsa.trouble = None
        assert (await scene.do("CA1", None, "decode_vin", vin=ACCORD)).data["decoded"], "a failure is not kept"


async def test_a_vehicle_that_nobody_knows(tmp_path: Path) -> None:
    async with garage(tmp_path) as (scene, _):
        noted = await scene.do("CA1", None, "decode_vin", vin="WVWZZZ1KZAW123456")
        assert (noted.ok, noted.data["decoded"]) == (True, False)
        assert "year" not in noted.data


async def test_a_host_without_the_service(tmp_path: Path) -> None:
    async with garage(tmp_path) as (scene, _):
        scene.services = Services()
        assert (await scene.do("CA1", None, "decode_vin", vin=ACCORD)).data["decoded"] is False
