"""A call whose words come from the simulated OpenAI through the real adapter, on a flow and with tools as shipped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from infra.simulators.openai_api import API_KEY, OpenAiApi
from media_gateway.conversation.manager import Manager
from media_gateway.providers.openai_mind import MindOptions, MindPatience, OpenAiMind
from media_gateway.tools.router import Router
from media_gateway.wiring import Desk
from realtime.events import EventType
from realtime.records.demo import seed
from tests.media_gateway.conversation.calls import changed
from tests.media_gateway.voice.stage import Stage, call

PATIENCE = MindPatience(first_word=3.0, between=2.0, pause=(0.0, 0.01))
QUICK = MindPatience(first_word=0.6, between=0.3, pause=(0.0, 0.01))
MODELS = ("gpt-6-luna",)


class Mind(OpenAiMind):
    """Its streams are looked for at the service, not here."""

    running = 0


@dataclass
class Modelled:
    """The call, and the service that words it."""

    stage: Stage
    api: OpenAiApi

    async def said(self, *lines: str) -> str:
        """The answer to the last line; each line is said once the answer to the one before was heard."""
        answers: list[Any] = []
        for line in lines:
            count = len(await self.stage.kept(EventType.AI_RESPONSE_COMPLETE))
            self.stage.say(line)
            answers = await self.stage.written(EventType.AI_RESPONSE_COMPLETE, count + 1)
        return str(answers[-1]["full_text"])

    async def faults(self) -> list[tuple[str, str]]:
        """(stage, kind) of what the journal says went wrong."""
        return [(fault["stage"], fault["kind"]) for fault in await self.stage.kept(EventType.PROVIDER_FAULT)]

    async def ran(self) -> list[str]:
        """The tools that ran."""
        return [line["tool"] for line in await self.stage.kept(EventType.TOOL_CALL)]


@asynccontextmanager
async def modelled(
    path: Path, flow: str = "inbound_new", models: tuple[str, ...] = MODELS, patience: MindPatience = PATIENCE
) -> AsyncIterator[Modelled]:
    """A call that was greeted."""
    async with OpenAiApi().serving() as api, call(path) as stage:
        await seed(stage.store)
        router = Router()
        desk = Desk(changed(flow, closed_days=[]), Manager(changed(flow, closed_days=[])), frozenset(router.names))
        mind = Mind(MindOptions(api_key=API_KEY, base_url=api.url, models=models, patience=patience))
        stage.manager, stage.tools, stage.mind = cast(Any, desk), cast(Any, router), cast(Any, mind)
        stage.patience = replace(stage.patience, first_word=3.5)
        stage.begin()
        try:
            await stage.greeted()
            await stage.written(EventType.AI_RESPONSE_COMPLETE)
            yield Modelled(stage, api)
        finally:
            await mind.aclose()
