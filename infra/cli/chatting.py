"""`chat` and `flows`: a conversation in text, and the files it is made of."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from infra.mistakes import Usage
from media_gateway.conversation.chat import Chat
from media_gateway.conversation.flow import Flow, FlowError, choose_flow, load_flows
from media_gateway.conversation.model import Started
from media_gateway.conversation.shipped import FLOWS, check_tools
from media_gateway.settings import load
from media_gateway.tools.customers import caller_lookup
from media_gateway.tools.port import ToolContext, ToolResult
from media_gateway.tools.router import Router, run_effect
from realtime.records.demo import DEMO_PHONE, seed
from realtime.stores.embedded import EmbeddedStore

ORG = "default"
DEMO_ITEMS = (
    {"type": "violation", "description": "Temperature is at 45 degrees but needs to be 38 degrees"},
    {"type": "reminder", "description": "Please send loaded trailer pictures"},
)


def flows_folder() -> Path:
    """The user's own flows, else ours."""
    return load(dev=True).callboard_flows_dir or FLOWS


class ChatShop:
    """The tools of a chat, on a demo shop of its own: nothing that is booked here is kept."""

    def __init__(self, runner: asyncio.Runner, store: EmbeddedStore, caller: str | None) -> None:
        self._runner = runner
        self._store = store
        self._caller = caller
        self._router = Router()
        self.customer: Mapping[str, Any] | None = None

    def open(self) -> None:
        """Seed the shop, and find the caller in it."""
        self._runner.run(seed(self._store))
        if self._caller:
            self.customer = self._runner.run(_found(self._store, self._caller))

    def run_tool(self, name: str, arguments: Mapping[str, Any], now: datetime) -> tuple[bool, Mapping[str, Any]]:
        """As a call would run it: the effect committed, again on a lost race."""
        context = ToolContext(
            org=ORG, call_id="chat", caller_phone=self._caller, customer=self.customer, now=now, store=self._store
        )

        async def commit(result: ToolResult) -> None:
            if result.writes:
                await self._store.commit(result.writes)

        result = self._runner.run(run_effect(self._router, name, arguments, context, commit))
        return result.ok, result.data

    def demo_variables(self, now: datetime) -> Mapping[str, Any]:
        """What a call of the chat is about: an appointment of tomorrow (or the next day that is open) in this shop's
        book, and two items."""
        for ahead in range(1, 8):
            day = (now + timedelta(days=ahead)).date().isoformat()
            wanted = {"service_type": "oil_change", "date": day, "time": "14:00"}
            ok, appointment = self.run_tool("book_appointment", wanted, now)
            if ok:
                break
        return {"first_name": "John", "appointment": dict(appointment) if ok else None, "items": DEMO_ITEMS}

    def close(self) -> None:
        """Let go of the store."""
        self._runner.run(self._store.aclose())


async def _found(store: EmbeddedStore, caller: str) -> Mapping[str, Any] | None:
    return await caller_lookup(store)(ORG, caller)


@contextmanager
def _shop(caller: str | None) -> Iterator[ChatShop]:
    with asyncio.Runner() as runner, TemporaryDirectory(prefix="callboard-chat-") as folder:

        async def opened() -> EmbeddedStore:
            return EmbeddedStore(Path(folder) / "callboard.db")

        shop = ChatShop(runner, runner.run(opened()), caller)
        shop.open()
        try:
            yield shop
        finally:
            shop.close()


def chat_loop(
    console: Console, flow: str | None, caller: str | None, now: str | None, variables: str | None, *, as_json: bool
) -> int:
    """One line in, one answer out, until the conversation or the input ends. Raises FlowError, Usage."""
    flows = load_flows(flows_folder())
    pretended = _pretended(now)
    about = _variables(variables)
    if caller is None and flow == "inbound_existing":
        caller = DEMO_PHONE  # this flow is for callers we know: the demo shop's own
    with _shop(caller) as shop:
        name = flow or choose_flow(flows, Started(datetime.now().astimezone().isoformat(), caller, shop.customer))
        if name not in flows:
            raise Usage(f"there is no flow {name!r}; there are: {', '.join(flows)}")
        chat = Chat(flows[name], shop.run_tool)
        if about is None and flows[name].spec.direction == "outbound":
            about = shop.demo_variables(pretended or datetime.now(flows[name].zone))

        def moment() -> datetime:
            return pretended or datetime.now(flows[name].zone)

        _answer(console, chat.open(moment(), caller, shop.customer, about), as_json=as_json)
        if not as_json and sys.stdin.isatty():
            console.print("[dim](type what the caller says; an empty line is silence, #1 presses a key)[/]")
        for line in sys.stdin:
            answer = chat.say(line.rstrip("\n"), moment())
            _answer(console, answer, as_json=as_json)
            if answer["ended"]:
                break
    return 0


def _variables(text: str | None) -> Mapping[str, Any] | None:
    """`--variables`: what the call is about, as the API takes it."""
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Usage("""--variables is no JSON object; write it like '{"first_name": "John", "items": []}'""")
    return found


def _pretended(now: str | None) -> datetime | None:
    """`--now`; without an offset it is the shop's own time."""
    if now is None:
        return None
    try:
        moment = datetime.fromisoformat(now)
    except ValueError:
        raise Usage(f"--now {now} is no ISO 8601 time; write it like 2026-11-20T09:30") from None
    if moment.tzinfo is None:
        zone = next(iter(load_flows(flows_folder()).values())).zone
        return moment.replace(tzinfo=zone)
    return moment


def _answer(console: Console, answer: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        return
    # What the assistant says is the output; how it came to it goes beside, to standard error.
    aside = Console(stderr=True, width=None if sys.stderr.isatty() else 10_000)
    for tool in answer["tools"]:
        aside.print(f"  [dim]{tool['name']} {tool['arguments']} -> {'ok' if tool['ok'] else 'no'}[/]", highlight=False)
    console.print(f"[green]{answer['say']}[/]", highlight=False)
    slots = " ".join(f"{key}={value}" for key, value in answer["slots"].items())
    line = " · ".join(part for part in (answer["state"], answer["intent"], slots) if part)
    aside.print(f"  [dim]{line}[/]", highlight=False)


def check_flows(console: Console, *, as_json: bool) -> int:
    """0 when all are right; else 1, and every problem with its file and line."""
    try:
        flows = load_flows(flows_folder())
        check_tools(flows, Router().names)
    except FlowError as error:
        if as_json:
            sys.stdout.write(json.dumps({"ok": False, "problems": error.problems}, indent=1) + "\n")
        else:
            for problem in error.problems:
                console.print(f"[red]{problem}[/]", soft_wrap=True, highlight=False)
        return 1
    if as_json:
        sys.stdout.write(json.dumps({"ok": True, "flows": sorted(flows)}, indent=1) + "\n")
    else:
        console.print(f"{len(flows)} flows are right: {', '.join(flows)}")
    return 0


def show_flow(console: Console, name: str, *, as_json: bool) -> int:
    """The flow as it was read, what it extends included. Raises FlowError, Usage."""
    flows = load_flows(flows_folder())
    if name not in flows:
        raise Usage(f"there is no flow {name!r}; there are: {', '.join(flows)}")
    flow = flows[name]
    if as_json:
        sys.stdout.write(flow.spec.model_dump_json(indent=1) + "\n")
        return 0
    console.print(f"[bold]{flow.name}[/] {flow.spec.shop.name} ({flow.spec.shop.timezone})  [dim]{flow.source}[/]")
    console.print(_services(flow))
    table = Table("intent", "callers say, for example", box=None)
    for name, intent in flow.spec.intents.items():
        table.add_row(name, "; ".join(intent.examples[:3]))
    console.print(table)
    console.print(f"[dim]{len(flow.phrases)} phrases make the demo recogniser's vocabulary[/]")
    return 0


def _services(flow: Flow) -> Table:
    table = Table("service", "said as", "minutes", box=None)
    for service in flow.spec.services:
        table.add_row(service.key, service.say, str(service.minutes))
    return table
