"""A simulated caller as a process of its own: it rings a gateway and plays a scenario.

    python -m infra.local.caller --url http://127.0.0.1:8080 --scenario book_oil_change --call-sid CA...

TWILIO_AUTH_TOKEN must be the gateway's. Prints nothing; exit code 0 when the call went through without a violation.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from contextlib import suppress

from infra.local.child import exit_with_parent
from infra.simulators.config import Line, PhoneConfig
from infra.simulators.phone import place_call
from infra.simulators.report import CallReport
from infra.simulators.scenario import Scenario, load_scenario


async def call(config: PhoneConfig, scenario: Scenario) -> CallReport:
    """The call; SIGTERM makes the caller hang up as a person would."""
    line = Line()
    with suppress(NotImplementedError):  # Windows has no such signals; there the process just ends
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, line.hang_up)
    return await place_call(config, scenario, line=line)


def main() -> int:
    """Place the call."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--scenario", required=True)
    parser.add_argument("--call-sid", required=True)
    options = parser.parse_args()
    exit_with_parent()
    config = PhoneConfig(public_url=options.url, auth_token=os.environ["TWILIO_AUTH_TOKEN"], call_sid=options.call_sid)
    report = asyncio.run(call(config, load_scenario(options.scenario)))
    for violation in report.violations:
        print(f"Twilio would not take this: {violation}", file=sys.stderr)  # noqa: T201
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
