"""Pipecat's own Twilio pipeline, as its documentation has one write it, pointed at the vendors of the bench.

    python pipecat_bot.py --port P [--lean]

With DEEPGRAM_*, OPENAI_* in the environment; runs in the virtual environment of `environment.py` and nowhere else (mypy
leaves it out by name: nothing that it imports is installed here). What was chosen, and why, is in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re

import uvicorn
from fastapi import FastAPI, WebSocket
from fastapi.responses import PlainTextResponse
from loguru import logger
from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.deepgram.flux.stt import DeepgramFluxSTTService
from pipecat.services.deepgram.tts import DeepgramTTSService
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.turns.user_turn_strategies import ExternalUserTurnStrategies
from pipecat.workers.runner import WorkerRunner

PATH = "/api/v1/voice/media-stream"
RATE = 8_000
"""The line's own: nothing is resampled."""
ASKED = "You answer the telephone of a repair shop. Be brief."
GREET = "Greet the caller in a few words."


class Bot:
    """One of these for all calls."""

    def __init__(self, *, lean: bool) -> None:
        self._lean = lean
        self._deepgram = os.environ["DEEPGRAM_BASE_URL"]
        self._key = os.environ["DEEPGRAM_API_KEY"]

    def _ears(self) -> DeepgramFluxSTTService:
        """Flux takes the turns. Pipecat sends it linear samples and nothing else."""
        return DeepgramFluxSTTService(
            api_key=self._key,
            url=f"{self._deepgram}/v2/listen",
            settings=DeepgramFluxSTTService.Settings(model="flux-general-en"),
            audio_passthrough=not self._lean,
        )

    def _mind(self) -> OpenAILLMService:
        return OpenAILLMService(
            api_key=os.environ["OPENAI_API_KEY"],
            base_url=os.environ["OPENAI_BASE_URL"],
            settings=OpenAILLMService.Settings(
                model=os.environ.get("OPENAI_MODEL", "gpt-6-luna"), system_instruction=ASKED
            ),
        )

    def _voice(self) -> DeepgramTTSService:
        return DeepgramTTSService(
            api_key=self._key,
            base_url=self._deepgram,
            settings=DeepgramTTSService.Settings(voice="aura-2-thalia-en"),
        )

    async def call(self, ws: WebSocket) -> None:
        """One call, until it is over."""
        await ws.accept()
        _, data = await parse_telephony_websocket(ws)
        serializer = TwilioFrameSerializer(
            stream_sid=data["stream_id"],
            call_sid=data["call_id"],
            params=TwilioFrameSerializer.InputParams(auto_hang_up=False),  # there is no Twilio to ask
        )
        line = FastAPIWebsocketTransport(
            websocket=ws,
            params=FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=True, serializer=serializer),
        )
        context = LLMContext()
        # Said outright, so that no model of turns is loaded for a call in which Flux takes them.
        strategies = LLMUserAggregatorParams(user_turn_strategies=ExternalUserTurnStrategies())
        caller, agent = LLMContextAggregatorPair(context, user_params=strategies)
        pipeline = Pipeline([line.input(), self._ears(), caller, self._mind(), self._voice(), line.output(), agent])
        lean = {"enable_rtvi": False, "enable_turn_tracking": False, "idle_timeout_secs": None} if self._lean else {}
        worker = PipelineWorker(
            pipeline, params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE), **lean
        )

        @line.event_handler("on_client_connected")
        async def connected(_line: object, _client: object) -> None:
            context.add_message({"role": "developer", "content": GREET})
            await worker.queue_frames([LLMRunFrame()])

        @line.event_handler("on_client_disconnected")
        async def disconnected(_line: object, _client: object) -> None:
            await worker.cancel()

        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()


def settle() -> None:
    """What our own gateway does about garbage: a full collection of all that was imported holds all calls for 0.1 s."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def _told(message: object) -> None:
    """What it warns of, in lines that the bench counts."""
    record = message.record
    text = re.sub(
        r"<[\w.]+ object at 0x\w+>|#\d+|[0-9a-f]{8}-[0-9a-f-]{27}", "", f"{record['name']}: {record['message']}"
    )
    print(json.dumps({"message": text[:160]}), flush=True)


def main() -> None:
    """Until it is terminated."""
    parser = argparse.ArgumentParser(description="Pipecat's own Twilio pipeline.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--lean", action="store_true", help="without what a telephone call has no use for")
    options = parser.parse_args()
    logger.remove()
    logger.add(_told, level="WARNING")
    bot = Bot(lean=options.lean)
    app = FastAPI()
    app.add_api_route("/readyz", lambda: PlainTextResponse("ok"))
    app.add_api_websocket_route(PATH, bot.call)
    if options.lean:
        settle()
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=options.port,
        loop="uvloop",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        log_level="error",
        access_log=False,
    )


if __name__ == "__main__":
    main()
