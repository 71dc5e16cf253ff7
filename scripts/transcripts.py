"""Write docs/transcripts.md: for each flow one simulated call on the embedded engines, as it really went.

    .venv/bin/python scripts/transcripts.py            # six calls, about a minute and a half

What a caller said is what the recogniser heard. Exit code 1 when a call did not go as its scenario expects; then
nothing is written.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from infra.cli.simulating import target_of, twilio_for  # noqa: E402  (the path has to be there first)
from infra.local.ordering import account  # noqa: E402
from infra.local.simulate import Verdict, simulate  # noqa: E402
from infra.local.system import LocalSystem, free_port  # noqa: E402
from infra.simulators.scenario import Scenario, load_scenario  # noqa: E402

PAGE = ROOT / "docs" / "transcripts.md"
FLOWS = {
    "inbound_new": "new_caller",
    "inbound_existing": "book_oil_change",
    "inbound_general": "withheld_number",
    "outbound_reminder": "reminder",
    "outbound_followup": "followup_complaint",
    "driver_check": "driver",
}
AT_ONCE = 2
HEAD = """# A call of every flow

Each is a simulated call on the demo engines (pocketsphinx, the script, espeak-ng) through the real endpoints, word for
word from its journal; the caller's lines are what the recogniser heard. `python3 run.py simulate-call --scenario NAME`
plays it again, and `scripts/transcripts.py` writes this page.
"""


async def calls(scenarios: list[Scenario]) -> list[Verdict]:
    """Play them against one system of our own."""
    limit = asyncio.Semaphore(AT_ONCE)
    with tempfile.TemporaryDirectory(prefix="callboard-") as folder:
        async with twilio_for(*scenarios) as twilio:
            environment = {"LOG_LEVEL": "WARNING", **(account(twilio) if twilio else {})}
            system = LocalSystem(
                port=free_port(), functions_port=free_port(), data_dir=Path(folder), environment=environment
            )
            async with system:
                target = target_of(system, None, twilio)

                async def one(scenario: Scenario) -> Verdict:
                    async with limit:
                        return await simulate(target, scenario)

                return await asyncio.gather(*map(one, scenarios))


def lines(flow: str, scenario: Scenario, verdict: Verdict) -> Iterator[str]:
    """One call as Markdown."""
    yield f"\n## {flow}\n"
    yield f"{scenario.description} (`{scenario.name}`)\n"
    yield "| | |\n|---|---|"
    tools = list(verdict.tools)
    for turn in verdict.turns:
        who = "caller" if turn["speaker"] == "user" else "assistant"
        cut = " *(interrupted)*" if turn["interrupted"] else ""
        yield f"| {who} | {turn['text']}{cut} |"
    if tools:
        yield f"\nTools: {', '.join(map(told, tools))}."


def told(tool: Mapping[str, Any]) -> str:
    """`book_appointment` and how it went."""
    return f"`{tool['tool']}` ({'done' if tool['ok'] else 'refused'})"


def main() -> int:
    scenarios = [load_scenario(name) for name in FLOWS.values()]
    verdicts = asyncio.run(calls(scenarios))
    wrong = [f"{verdict.scenario}: {'; '.join(verdict.failures)}" for verdict in verdicts if not verdict.ok]
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        return 1
    page = [HEAD]
    for flow, scenario, verdict in zip(FLOWS, scenarios, verdicts, strict=True):
        page += lines(flow, scenario, verdict)
    PAGE.write_text("\n".join(page) + "\n", encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {len(verdicts)} calls")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
