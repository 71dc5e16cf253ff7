"""`users list|add|disable|enable|password` and `keys list|add|revoke`, straight on the store that the settings name.

No secret is an argument: a password is asked for, or read from standard input when that is no terminal.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from infra.cli.console import Json, attempted, out, table

users_app = typer.Typer(help="Who may log in.", no_args_is_help=True)
keys_app = typer.Typer(help="API keys for machines.", no_args_is_help=True)
Org = Annotated[str, typer.Option(help="The organisation.")]
Role = Annotated[str, typer.Option(help="viewer, operator or admin.")]
OneTime = Annotated[bool, typer.Option("--one-time", help="They choose another password when they first log in.")]
ACTOR = "cli"


@users_app.command(name="list")
def list_users(org: Org = "default", as_json: Json = False) -> None:
    """The organisation's users."""
    found = _with(lambda accounts: accounts.users(org))
    _tell([user.shown() for user in found], ("name", "role", "disabled", "created_at"), as_json=as_json)


@users_app.command(name="add")
def add_user(
    name: str, role: Role = "viewer", org: Org = "default", one_time: OneTime = False, as_json: Json = False
) -> None:
    """A new user; the password is asked for."""
    from realtime.accounts import model

    async def work(accounts: Any) -> Any:
        hashed = await _hashed()
        return await accounts.add_user(
            name, org=org, role=model.role_name(role), password=hashed, actor=ACTOR, one_time=one_time
        )

    _tell([_with(work).shown()], ("name", "role"), as_json=as_json)


@users_app.command(name="disable")
def disable_user(name: str, org: Org = "default", as_json: Json = False) -> None:
    """The user may not log in any more, and every token of theirs ends."""
    user = _with(lambda accounts: accounts.change_user(org, name, actor=ACTOR, disabled=True))
    _tell([user.shown()], ("name", "role", "disabled"), as_json=as_json)


@users_app.command(name="enable")
def enable_user(name: str, org: Org = "default", as_json: Json = False) -> None:
    """The user may log in again."""
    user = _with(lambda accounts: accounts.change_user(org, name, actor=ACTOR, disabled=False))
    _tell([user.shown()], ("name", "role", "disabled"), as_json=as_json)


@users_app.command(name="password")
def set_password(name: str, org: Org = "default", one_time: OneTime = False, as_json: Json = False) -> None:
    """A new password, which is asked for; every token of the user ends."""

    async def work(accounts: Any) -> Any:
        return await accounts.change_user(org, name, actor=ACTOR, password=await _hashed(), one_time=one_time)

    _tell([_with(work).shown()], ("name", "role", "changed_at"), as_json=as_json)


@keys_app.command(name="list")
def list_keys(org: Org = "default", as_json: Json = False) -> None:
    """The organisation's keys, without their secrets."""
    found = _with(lambda accounts: accounts.keys(org))
    _tell([key.shown() for key in found], ("id", "label", "role", "last_used_at", "revoked_at"), as_json=as_json)


@keys_app.command(name="add")
def add_key(label: str, role: Role = "viewer", org: Org = "default", as_json: Json = False) -> None:
    """A new key. It is shown now and never again."""
    from realtime.accounts import model

    async def work(accounts: Any) -> Any:
        return await accounts.add_key(label, org=org, role=model.role_name(role), actor=ACTOR)

    key, text = _with(work)
    _tell([{**key.shown(), "key": text}], ("id", "role", "key"), as_json=as_json)


@keys_app.command(name="revoke")
def revoke_key(key_id: str, org: Org = "default", as_json: Json = False) -> None:
    """The key opens nothing any more."""
    _with(lambda accounts: accounts.revoke_key(org, key_id, actor=ACTOR))
    _tell([{"id": key_id, "revoked": True}], ("id", "revoked"), as_json=as_json)


def _with(work: Callable[[Any], Awaitable[Any]]) -> Any:
    """What `work` gives with the accounts of this installation. What is wrong becomes one line and an exit code."""
    from infra.cli.sources import settings_here
    from media_gateway.opening import open_store
    from realtime.accounts import Accounts

    async def opened() -> Any:
        store = open_store(settings_here())
        try:
            return await work(Accounts(store))
        finally:
            await store.aclose()

    return attempted(lambda: asyncio.run(opened()))


async def _hashed() -> str:
    """The hash of a password from the terminal (twice, unseen) or the first line of standard input."""
    from media_gateway.auth.passwords import Passwords, WeakPassword

    if sys.stdin.isatty():
        password = await asyncio.to_thread(getpass.getpass, "Password: ")
        if await asyncio.to_thread(getpass.getpass, "Once more: ") != password:
            raise WeakPassword("These were two different passwords.")
    else:
        password = (await asyncio.to_thread(sys.stdin.readline)).rstrip("\r\n")
    return await Passwords().hash(password)


def _tell(rows: list[dict[str, Any]], columns: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return
    table(out, rows, columns)
