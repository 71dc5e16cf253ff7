"""A gateway whose sessions send back what they hear: `python -m tests.faults.echoing`, with the environment of any.

It shows whether the audio path lives, without the cost of hearing, thinking and speaking."""

from __future__ import annotations

from media_gateway import logs
from media_gateway.app import create_app
from media_gateway.core import Core
from media_gateway.server import server
from media_gateway.settings import load
from media_gateway.voice.ports import Line, SessionFactory, StartedStream
from tests.media_gateway.harness import NotedSession


class Echo(NotedSession):
    """What comes in goes out, in the same turn of the loop."""

    def __init__(self, started: StartedStream, line: Line) -> None:
        super().__init__(started, line)
        self.on_media = line.media  # type: ignore[method-assign]


async def echoes(_: Core) -> SessionFactory:
    return Echo


def main() -> None:
    settings = load()
    logs.configure(settings.log_level)
    server(create_app(settings, build_sessions=echoes), settings).run()


if __name__ == "__main__":
    main()
