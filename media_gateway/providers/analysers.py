"""Who finds out what came of a call: OpenAI where it thinks, else the script. Imported only when it is needed."""

from __future__ import annotations

from media_gateway.settings import Settings
from realtime.analysis import Analyser, Scripted


def build_analyser(settings: Settings) -> Analyser:
    """As CALLBOARD_LLM says; without its key it stays with the script, and the start has said so already."""
    if settings.callboard_llm != "openai" or settings.openai_api_key is None:
        return Scripted()
    from media_gateway.providers.openai_analysis import OpenAiAnalyser

    models = tuple(dict.fromkeys(filter(None, (settings.openai_model, settings.openai_model_standin))))
    key = settings.openai_api_key.get_secret_value()
    return OpenAiAnalyser(api_key=key, base_url=settings.openai_base_url, models=models)
