"""A system whose hosted calls go to a simulated ElevenLabs: all of our parts as processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.local.clients import Api
from infra.local.system import LocalSystem, free_port
from infra.simulators.elevenlabs_api import AGENT_ID, API_KEY, PHONE_NUMBER_ID, ElevenLabsApi

SECRET = "wsec_e2e"
PERSONALIZE = "a-personalize-secret"
PLACE = "/driver_data/call-elevenlabs"
ORDER = {
    "driverId": "driver-7",
    "driverName": "Kim Lee",
    "phoneNumber": "+14155550177",
    "violations": [
        {"type": "violation", "description": "Temperature is at 45 degrees but needs to be 38 degrees"},
        {"type": "reminder", "description": "Please send loaded trailer pictures"},
    ],
}
SAID = [
    ("agent", "Hello Kim, this is dispatch. Temperature is at 45 degrees but needs to be 38 degrees."),
    ("user", "Yes, I have set it down already. 👍"),
    ("agent", "Thank you. Please send loaded trailer pictures, too."),
    ("user", "Will do at the next stop."),
]


@dataclass
class Ground:
    system: LocalSystem
    vendor: ElevenLabsApi
    api: Api
    talking: asyncio.Task[None] | None = None
    """A conversation that goes on by itself."""

    @property
    def webhook(self) -> str:
        return f"{self.system.functions_url}/elevenlabs_webhook/webhooks/elevenlabs/post-call"


@asynccontextmanager
async def ground(folder: Path) -> AsyncIterator[Ground]:
    async with ElevenLabsApi().serving() as vendor:
        environment = {
            "LOG_LEVEL": "WARNING",
            "ELEVENLABS_API_KEY": API_KEY,
            "ELEVENLABS_BASE_URL": vendor.url,
            "ELEVENLABS_AGENT_ID": AGENT_ID,
            "ELEVENLABS_PHONE_NUMBER_ID": PHONE_NUMBER_ID,
            "ELEVENLABS_WEBHOOK_SECRET": SECRET,
            "ELEVENLABS_PERSONALIZE_SECRET": PERSONALIZE,
            "CALLBOARD_TTS": "embedded",
        }
        system = LocalSystem(
            port=free_port(), functions_port=free_port(), data_dir=folder / "data", environment=environment
        )
        async with system:
            settings = system.settings
            password = settings.admin_password.get_secret_value()
            async with Api(system.url, settings.admin_username, password) as api:
                yield Ground(system, vendor, api)
