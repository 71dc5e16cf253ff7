"""`python -m media_gateway`: the gateway alone, as the container runs it."""

from __future__ import annotations

import gc
import sys

from media_gateway import logs
from media_gateway.settings import SettingsError, load

SWITCH_S = 0.001
"""The journal's threads give the interpreter back to the event loop after this: five times sooner than by default."""


def settle() -> None:
    """What is there before the first call is there for good: the collector need not walk through it
    (`media_gateway.garbage` takes over when the server runs)."""
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()


def main() -> int:
    """Exit code 2 when the environment is not fit to start with; what is wrong is on stderr."""
    try:
        settings = load()
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - for the person at the terminal
        return 2
    logs.configure(settings.log_level)
    from media_gateway.app import create_app
    from media_gateway.conversation.flow import FlowError
    from media_gateway.providers.catalog import build_engines
    from media_gateway.server import DrainingServer, server
    from media_gateway.voice.ports import ProviderFault
    from media_gateway.wiring import build_sessions

    try:
        build_engines(settings)
        gateway: DrainingServer = server(create_app(settings, build_sessions=build_sessions), settings)
        settle()
        gateway.run()
    except (SettingsError, FlowError, ProviderFault) as problem:
        print(problem, file=sys.stderr)  # noqa: T201 - for the person at the terminal
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
