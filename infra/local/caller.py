"""A simulated caller as a process of its own: it rings a gateway and plays a scenario.

    python -m infra.local.caller --url http://127.0.0.1:8080 --scenario book_oil_change --call-sid CA...

TWILIO_AUTH_TOKEN must be the gateway's. Prints nothing; exit code 0 when the call went through without a violation.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from infra.local.child import exit_with_parent
from infra.simulators.config import PhoneConfig
from infra.simulators.phone import place_call
from infra.simulators.scenario import load_scenario


def main() -> int:
    """Place the call."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--scenario", required=True)
    parser.add_argument("--call-sid", required=True)
    options = parser.parse_args()
    exit_with_parent()
    config = PhoneConfig(public_url=options.url, auth_token=os.environ["TWILIO_AUTH_TOKEN"], call_sid=options.call_sid)
    report = asyncio.run(place_call(config, load_scenario(options.scenario)))
    for violation in report.violations:
        print(f"Twilio would not take this: {violation}", file=sys.stderr)  # noqa: T201
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
