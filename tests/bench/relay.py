"""How much the road from the journal to the screens costs, each figure beside a bare baseline of the same run.

    python -m tests.bench.relay [fanout|listener|outage|journal|coldstart|browser] ... [--sockets 1000] [--json FILE]

By hand only; other work on the machine shows in absolute figures, hardly in the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop

from tests.bench import cold_start, fanout, journal, listening, webhook_to_browser

BENCHES: dict[str, Callable[[argparse.Namespace], Coroutine[Any, Any, dict[str, Any]]]] = {
    "fanout": lambda given: fanout.measure(given.sockets),
    "listener": lambda _: listening.per_event(),
    "outage": lambda _: listening.outage(),
    "journal": lambda _: journal.appends(),
    "coldstart": lambda _: asyncio.to_thread(cold_start.measure),
    "browser": lambda _: webhook_to_browser.measure(),
}


def main() -> int:
    """One JSON object on stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="*", help=f"of {', '.join(BENCHES)}; all without a name")
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    results: dict[str, dict[str, Any]] = {name: uvloop.run(BENCHES[name](given)) for name in given.which or BENCHES}
    text = json.dumps(results, indent=2)
    print(text)
    if given.json:
        given.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
