"""What supervisors tell a running call, wherever it runs.

    calls/{call_id}/commands/{command_id}    what is wanted, by whom, until when; create-only
    calls/{call_id}                          `commands` of the head: the ids that wait, or were taken and are not done
    posts/{instance}/commands/{command_id}   tells the instance that owns the call; read by one look for all its calls

A command is written in one commit with the head, so it never meets a call that is over, and taken by compare-and-set
on the head in the owner's term: by one session, once. What became of it is a `command` line of the journal, whose
commit takes it off the head.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Self, get_args

from realtime import audit
from realtime.call import Call
from realtime.clock import iso
from realtime.events import Draft, EventType
from realtime.journal import Appended, Journal, Plan, UnknownCall
from realtime.stores.port import Create, Delete, DocumentStore, Query, Write

log = logging.getLogger(__name__)

Kind = Literal["hangup", "transfer", "say", "whisper", "takeover", "release", "approve", "refuse"]
KINDS: tuple[Kind, ...] = get_args(Kind)
TTL = timedelta(seconds=30)
"""A command that was not taken by then is not wanted any more: the moment has passed."""
CLAIM = timedelta(seconds=60)
"""How long after their last command a supervisor still has the call to themselves."""
HELD = timedelta(hours=2)
"""The same for one who has taken the caller over."""
MOST = 8
"""Commands of one call that may wait."""
POSTS = 100


class CallOver(Exception):
    """The call has ended."""


class TooMany(Exception):
    """As many commands wait as may wait."""


class Claimed(Exception):
    """Another supervisor has this call."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"{holder} supervises this call")
        self.holder = holder


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`actor` is who wants it; `created` and `expires` are ISO 8601 UTC. `args` by kind: transfer `{to, number, mode}`,
    say and whisper `{text}`, takeover `{by, number, mode}`, approve and refuse `{request_id}`."""

    command_id: str
    call_id: str
    kind: Kind
    actor: str
    created: str
    expires: str
    args: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Unknown keys are ignored. Raises TypeError, ValueError on a poison document."""
        command = cls(**{name: value for name, value in data.items() if name in cls.__slots__})
        texts = (command.command_id, command.call_id, command.actor, command.created, command.expires)
        if not all(isinstance(text, str) for text in texts) or not isinstance(command.args, Mapping):
            raise TypeError("a command's fields are of the wrong types")
        if command.kind not in KINDS:
            raise ValueError("a command is of no known kind")
        return command


def new(call_id: str, kind: Kind, actor: str, args: Mapping[str, Any], now: datetime) -> Command:
    """A command that is wanted now."""
    return Command(
        command_id=secrets.token_hex(8),
        call_id=call_id,
        kind=kind,
        actor=actor,
        created=iso(now),
        expires=iso(now + TTL),
        args=args,
    )


def holder(call: Call, now: datetime) -> str | None:
    """Who has this call to themselves."""
    claim = call.supervisor
    return str(claim["user"]) if claim and claim["until"] > iso(now) else None


async def issue(journal: Journal, command: Command, org: str, now: datetime, *, override: bool = False) -> Call:
    """Write it, claim the call for its actor, and tell the owner's instance; with the entry in the audit log one
    commit. `override`: whoever holds the call. Raises CallOver, Claimed, TooMany, UnknownCall, StoreUnavailable."""

    def decide(call: Call) -> Plan | None:
        if call.status.terminal:
            raise CallOver
        other = holder(call, now)
        if other not in (None, command.actor) and not override:
            raise Claimed(str(other))
        if command.command_id in call.commands:
            return None  # this very commit had happened after all
        if len(call.commands) >= MOST:
            raise TooMany
        expiry = {"expire_at": call.expire_at}
        writes: list[Write] = [
            Create(f"calls/{call.call_id}/commands/{command.command_id}", asdict(command) | expiry),
            audit.entry(org, command.actor, f"call.{command.kind}", call.call_id, now, {"id": command.command_id}),
        ]
        if call.owner:
            post = {"call_id": call.call_id, "at": command.created} | expiry
            writes.append(Create(f"{_posts(call.owner)}/{command.command_id}", post))
        change = {"commands": {**call.commands, command.command_id: ""}, "supervisor": _claim(call, command, now)}
        return Plan(change=change, writes=writes)

    journal.look_again(command.call_id)
    return (await journal.update(command.call_id, decide)).call


def _claim(call: Call, command: Command, now: datetime) -> Mapping[str, Any]:
    """The claim after this command; that of one who has taken over stays as long as it was."""
    before = call.supervisor or {}
    same = before.get("user") == command.actor and holder(call, now) is not None
    until = max(str(before["until"]), iso(now + CLAIM)) if same else iso(now + CLAIM)
    since = before["since"] if same else iso(now)
    return {"user": command.actor, "since": since, "until": until, "by": before.get("by") if same else None}


async def take(journal: Journal, store: DocumentStore, call_id: str, term: int) -> list[Command]:
    """All that wait, oldest first; whoever gets them has them alone. Raises Fenced, UnknownCall, StoreUnavailable."""
    mine = f"{term}.{secrets.token_hex(4)}"  # told apart from what was taken before, if the answer gets lost

    def decide(call: Call) -> Plan | None:
        waiting = [one for one, by in call.commands.items() if not by]
        return Plan(change={"commands": {**call.commands, **dict.fromkeys(waiting, mine)}}) if waiting else None

    journal.look_again(call_id)
    call = (await journal.update(call_id, decide, term=term)).call
    return await _read(journal, store, call_id, [one for one, by in call.commands.items() if by == mine])


async def left(journal: Journal, store: DocumentStore, call: Call, which: Callable[[str], bool]) -> list[Command]:
    """Commands of this head that are not done and that `which` takes by who has taken them ("" is nobody; else the
    term, a dot, and more). Raises UnknownCall, StoreUnavailable."""
    return await _read(journal, store, call.call_id, [one for one, by in call.commands.items() if which(by)])


async def _read(journal: Journal, store: DocumentStore, call_id: str, ids: list[str]) -> list[Command]:
    """Those that can be read; the others are taken off the head, so that they harm and block nobody again."""
    docs = await store.get(*(f"calls/{call_id}/commands/{one}" for one in ids)) if ids else []
    sound: list[Command] = []
    broken: set[str] = set()
    for one, doc in zip(ids, docs, strict=True):
        try:
            command = Command.from_dict(doc.data) if doc else None
        except (TypeError, ValueError):
            command = None
        if command is None or (command.command_id, command.call_id) != (one, call_id):
            broken.add(one)
        else:
            sound.append(command)
    if broken:
        log.error("commands_quarantined", extra={"call_id": call_id, "commands": sorted(broken)})
        await _dropped(journal, call_id, broken)
    return sorted(sound, key=lambda one: (one.created, one.command_id))


async def _dropped(journal: Journal, call_id: str, broken: set[str]) -> None:
    """Their documents stay for whoever looks into it, until they expire."""

    def decide(call: Call) -> Plan | None:
        kept = {one: by for one, by in call.commands.items() if one not in broken}
        return Plan(change={"commands": kept}) if len(kept) < len(call.commands) else None

    await journal.update(call_id, decide)


async def settle(
    journal: Journal,
    command: Command,
    now: datetime,
    *,
    ok: bool,
    detail: str = "",
    change: Callable[[Call], Mapping[str, Any]] = lambda _: {},
) -> Appended:
    """Write what became of it; once. `change` gives head fields that change with it. Raises UnknownCall,
    StoreUnavailable."""

    def decide(call: Call) -> Plan | None:
        left_over = {one: by for one, by in call.commands.items() if one != command.command_id}
        told = Draft(EventType.COMMAND, outcome(command, ok=ok, detail=detail), _key(command), iso(now))
        return Plan((told,), {"commands": left_over, **change(call)})

    return await journal.update(command.call_id, decide)


def outcome(command: Command, *, ok: bool, detail: str) -> dict[str, Any]:
    """The line of the journal. What was said or whispered stays in the command itself."""
    return {
        "command_id": command.command_id,
        "kind": command.kind,
        "actor": command.actor,
        "ok": ok,
        "detail": detail,
    }


def _key(command: Command) -> str:
    return f"command:{command.command_id}"


async def expire(journal: Journal, store: DocumentStore, now: datetime) -> int:
    """Refuse what nobody took in time, of all active calls; how many. Any instance may do it, at any time."""
    refused = 0
    for call in await journal.active():
        try:
            for command in await left(journal, store, call, lambda by: not by):
                if command.expires < iso(now):
                    await settle(journal, command, now, ok=False, detail="nobody took it in time")
                    refused += 1
        except UnknownCall:
            continue  # it was deleted meanwhile
    return refused


# --- telling the owner's instance ----------------------------------------------------------------------


async def posted(store: DocumentStore, instance: str) -> set[str]:
    """The calls of this instance for which there are commands; each is told once. Raises StoreUnavailable."""
    docs = await store.query(Query(_posts(instance), limit=POSTS))
    if docs:
        await store.commit([Delete(doc.path) for doc in docs])
    told = {doc.data.get("call_id") for doc in docs}
    calls = {one for one in told if isinstance(one, str)}
    if len(calls) < len(told):
        log.error("posts_quarantined", extra={"instance": instance})  # gone with the others: it says nothing
    return calls


def _posts(instance: str) -> str:
    return f"posts/{instance}/commands"
