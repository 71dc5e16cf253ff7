"""The command line. Exit codes: 0 ok, 1 failed, 2 usage. Readers take `--json`; progress goes to standard error.

Verbs import what they need when they run: `--help` answers at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.cli.console import Json, err, out
from infra.cli.deploy_verbs import deploy_app
from infra.cli.do_not_call import do_not_call_app
from infra.cli.erasing import erase
from infra.cli.letters import letters_app
from infra.cli.people import keys_app, users_app
from infra.mistakes import DidNotStart, NotThere, Unreachable, Usage

app = typer.Typer(
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
    help="Callboard: AI that answers and places phone calls, with every call live on a dashboard.",
)
flows_app = typer.Typer(help="The conversations, as data.", no_args_is_help=True)
app.add_typer(flows_app, name="flows")
reminders_app = typer.Typer(help="Tomorrow's appointments, and the calls about them.", no_args_is_help=True)
app.add_typer(reminders_app, name="reminders")
app.add_typer(users_app, name="users")
app.add_typer(keys_app, name="keys")
app.add_typer(do_not_call_app, name="do-not-call")
app.add_typer(letters_app, name="dead-letters")
app.add_typer(deploy_app)
app.command(name="erase")(erase)


def here(path: str) -> str:
    """A path as the user meant it: run.py has changed to the repository's folder. A bare name stays one."""
    started_in = os.environ.get("CALLBOARD_STARTED_IN")
    bare = os.sep not in path and not path.endswith((".yaml", ".yml")) and not path.startswith(".")
    return path if started_in is None or (bare and not Path(started_in, path).exists()) else str(Path(started_in, path))


def run(work: Any) -> Any:
    """Run a coroutine; what a user did wrong or what is missing becomes one clear line and exit code 1."""
    from infra.simulators.fields import ScenarioError
    from media_gateway.settings import SettingsError

    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    except (ScenarioError, Usage) as problem:
        err.print(f"[red]{problem}[/]", soft_wrap=True)
        raise typer.Exit(2) from None
    except (SettingsError, DidNotStart, NotThere, Unreachable) as problem:
        err.print(f"[red]{problem}[/]")
        raise typer.Exit(1) from None


def plain(work: Callable[[], int]) -> int:
    """The same for what runs without an event loop of ours."""
    from media_gateway.conversation.flow import FlowError
    from media_gateway.settings import SettingsError

    try:
        return work()
    except KeyboardInterrupt:
        return 0
    except Usage as problem:
        err.print(f"[red]{problem}[/]")
        return 2
    except (FlowError, SettingsError) as problem:
        err.print(f"[red]{problem}[/]", soft_wrap=True)
        return 1


@app.callback(invoke_without_command=True)
def default(context: typer.Context) -> None:
    """Without a verb: dev."""
    if context.invoked_subcommand is None:
        dev()


@app.command()
def dev(
    open_browser: Annotated[bool, typer.Option("--open", help="Open the dashboard in the browser.")] = False,
) -> None:
    """The whole system on this machine, keyless by default."""
    from infra.local.dev import serve

    raise typer.Exit(run(serve(out, open_browser=open_browser)))


@app.command(
    name="test",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    short_help="Every test that can run here.",
)
def run_every_test(
    context: typer.Context,
    long: Annotated[bool, typer.Option("--long", help="The long tests too.")] = False,
    fast: Annotated[bool, typer.Option("--fast", help="No calls, Chromium, emulators or gcloud: two minutes.")] = False,
) -> None:
    """Every test that can run here; further arguments go to pytest."""
    from infra.cli.testing import run_tests

    raise typer.Exit(run_tests(context.args, long=long, fast=fast))


@app.command(name="simulate-call")
def simulate_call(
    scenario: Annotated[str, typer.Option(help="A scenario's name, or a YAML file.")] = "book_oil_change",
    url: Annotated[str | None, typer.Option(help="A running system; else one is started for this call.")] = None,
    wav: Annotated[Path | None, typer.Option(help="Write both sides to this folder.")] = None,
    vendors: Annotated[bool, typer.Option("--vendors", help="On simulated vendors, not the demo engines.")] = False,
    as_json: Json = False,
    names: Annotated[bool, typer.Option("--list", help="List the scenarios.")] = False,
) -> None:
    """A simulated phone call through the real endpoints; exit code 0 only if the scenario's expectations held."""
    from infra.cli import simulating

    if names:
        simulating.list_scenarios(out, as_json=as_json)
        return
    folder = wav and Path(here(str(wav)))
    verdict = run(simulating.simulate_call(err, here(scenario), url, folder, vendors=vendors, quiet=as_json))
    if as_json:
        sys.stdout.write(json.dumps(verdict.to_dict(), indent=1) + "\n")
    else:
        simulating.show(out, verdict)
    raise typer.Exit(0 if verdict.ok else 1)


@app.command()
def chat(
    flow: Annotated[str | None, typer.Option(help="The flow; else the caller decides.")] = None,
    caller: Annotated[str | None, typer.Option(help="The caller's number, +1555...")] = None,
    now: Annotated[str | None, typer.Option(help="Local time to pretend, ISO 8601.")] = None,
    variables: Annotated[str | None, typer.Option(help="What a call that we place is about, JSON.")] = None,
    as_json: Json = False,
) -> None:
    """Talk to a flow in text: one line of caller text on standard input, one answer on standard output."""
    from infra.cli.chatting import chat_loop

    raise typer.Exit(plain(lambda: chat_loop(out, flow, caller, now, variables, as_json=as_json)))


@app.command(name="replay")
def replay_call(call_id: str, as_json: Json = False) -> None:
    """A call's conversation once more, from its journal; exit code 0 if states and tool calls are the same."""
    from infra.cli import replaying

    raise typer.Exit(
        plain(lambda: replaying.show_replay(out, *asyncio.run(replaying.replayed(call_id)), as_json=as_json))
    )


@app.command()
def seed(
    file: Annotated[Path, typer.Option("--from", help="A CSV file; its first line names the columns.")],
    as_json: Json = False,
) -> None:
    """A shop's own customers into the store. Exit codes: 0 all lines are in, 1 some are not, 2 the file is no table."""
    from infra.cli import seeding

    try:
        seeded = run(seeding.seed(err, file))
    except seeding.SeedFailed as problem:
        err.print(f"[red]{problem}[/]")
        raise typer.Exit(1) from None
    if as_json:
        sys.stdout.write(json.dumps(seeded.to_dict(), indent=1) + "\n")
    else:
        seeding.show(out, seeded)
    raise typer.Exit(1 if seeded.bad else 0)


@flows_app.command(name="check")
def flows_check(
    calls: Annotated[bool, typer.Option("--calls", help="List what real callers said that matched nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Check every flow file; each error with its file and line."""
    from infra.cli.chatting import check_flows

    if not calls:
        raise typer.Exit(plain(lambda: check_flows(out, as_json=as_json)))
    from infra.cli import replaying

    raise typer.Exit(
        plain(lambda: replaying.show_unmatched(out, asyncio.run(replaying.unmatched_utterances()), as_json=as_json))
    )


@flows_app.command(name="show")
def flows_show(name: str, as_json: Json = False) -> None:
    """One flow."""
    from infra.cli.chatting import show_flow

    raise typer.Exit(plain(lambda: show_flow(out, name, as_json=as_json)))


@app.command(name="call")
def place_call(
    to: Annotated[str, typer.Argument(help="The number to call, +1415...")],
    flow: Annotated[str, typer.Option(help="The flow that talks.")],
    variables: Annotated[str | None, typer.Option(help="What the flow is told, as a JSON object.")] = None,
    var: Annotated[list[str] | None, typer.Option(help="One of them, name=value; may be repeated.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and its price, and call nobody.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    key: Annotated[str | None, typer.Option(help="Idempotency-Key: the same key is the same call.")] = None,
    url: Annotated[str | None, typer.Option(help="The running system; else that of this machine.")] = None,
    as_json: Json = False,
) -> None:
    """Call somebody, through the running system: the plan and its price, a question, the call."""
    import secrets

    from infra.cli import calling, sources

    def work() -> int:
        told = calling.variables_of(var or [], variables)
        plan = calling.planned(sources.settings_here(), to, flow, told, url)
        if not as_json:
            calling.show_plan(out, plan)
        if dry_run:
            if as_json:
                sys.stdout.write(json.dumps({"dry_run": True, "plan": plan.to_dict()}, indent=1) + "\n")
            return 0
        if not yes and (as_json or not sys.stdin.isatty()):
            err.print("[red]Say --yes to call, or --dry-run to look.[/]")
            return 2
        if not yes and not typer.confirm("Place this call?"):
            return 1
        answer = run(calling.place(plan, key or secrets.token_hex(16), url))
        if as_json:
            sys.stdout.write(json.dumps(answer, indent=1) + "\n")
        else:
            out.print(f"{answer['status']}: {answer['call_id']} (follow it: python3 run.py tail {answer['call_id']})")
        return 0

    raise typer.Exit(plain(work))


@app.command(name="calls")
def list_calls(
    status: Annotated[str | None, typer.Option(help="Only these, such as completed or in_progress.")] = None,
    flow: Annotated[str | None, typer.Option(help="Only those of this flow.")] = None,
    q: Annotated[str | None, typer.Option("-q", help="Looked for in ids, numbers and the flow.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at most.")] = 50,
    url: Annotated[str | None, typer.Option(help="A running system; else that of this machine, or its store.")] = None,
    as_json: Json = False,
) -> None:
    """Calls, the newest first."""
    from infra.cli import calling

    given = {"status": status, "flow": flow, "q": q, "limit": str(limit)}
    wanted = {name: value for name, value in given.items() if value}
    raise typer.Exit(run(calling.list_calls(out, wanted, url, as_json=as_json)))


@app.command(name="stats")
def stats(
    began: Annotated[str | None, typer.Option("--from", help="A date or a time, ISO 8601; else 7 days.")] = None,
    ended: Annotated[str | None, typer.Option("--to", help="A date or a time; else now.")] = None,
    flow: Annotated[str | None, typer.Option(help="Only this flow.")] = None,
    url: Annotated[str | None, typer.Option(help="A running system; else that of this machine.")] = None,
    as_json: Json = False,
) -> None:
    """The numbers of a period: calls, bookings, latency, cost, busiest hours."""
    from infra.cli import stats as numbers

    wanted = {name: value for name, value in (("from", began), ("to", ended), ("flow", flow)) if value}
    raise typer.Exit(run(numbers.show(out, err, wanted, url, as_json=as_json)))


@app.command(name="show")
def show_call(
    call_id: Annotated[str, typer.Argument(help="A call id, CallSid or conversation id.")],
    url: Annotated[str | None, typer.Option(help="A running system; else that of this machine, or its store.")] = None,
    as_json: Json = False,
) -> None:
    """One call, with its journal."""
    from infra.cli import calling

    raise typer.Exit(run(calling.show_call(out, call_id, url, as_json=as_json)))


@app.command(name="tail")
def tail(
    call_id: Annotated[str | None, typer.Argument(help="A call, to its end; else all calls, until Ctrl-C.")] = None,
    url: Annotated[str | None, typer.Option(help="A running system; else that of this machine, or its store.")] = None,
    as_json: Json = False,
) -> None:
    """Events of calls as they are written."""
    from infra.cli import calling

    raise typer.Exit(run(calling.tail(out, call_id, url, as_json=as_json)))


@reminders_app.command(name="plan")
def reminders_plan(as_json: Json = False) -> None:
    """Who would be called when within the next day, and why others would not. Nothing is written."""
    from infra.cli import reminding

    raise typer.Exit(reminding.guarded(err, lambda: reminding.plan(out, as_json=as_json)))


@reminders_app.command(name="run")
def reminders_run(as_json: Json = False) -> None:
    """One run, as the schedule makes it: the calls of the next minutes are queued."""
    from infra.cli import reminding

    raise typer.Exit(reminding.guarded(err, lambda: reminding.once(out, as_json=as_json)))


@reminders_app.command(name="stop")
def reminders_stop(as_json: Json = False) -> None:
    """No more reminders until `resume`; what is queued and has not begun is taken back."""
    from infra.cli import reminding

    raise typer.Exit(reminding.guarded(err, lambda: reminding.switch(out, stopped=True, as_json=as_json)))


@reminders_app.command(name="resume")
def reminders_resume(as_json: Json = False) -> None:
    """Reminders go on."""
    from infra.cli import reminding

    raise typer.Exit(reminding.guarded(err, lambda: reminding.switch(out, stopped=False, as_json=as_json)))
