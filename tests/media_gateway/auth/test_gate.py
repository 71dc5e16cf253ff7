"""Who a credential belongs to, and how soon that ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from media_gateway.auth import AuthError, Bootstrap, Gate, Principal, Tokens
from media_gateway.auth.gate import FRESH_S, UNKNOWN_BURST, TooManyKeys
from media_gateway.auth.login import Login
from media_gateway.auth.passwords import Passwords, WeakPassword, check
from media_gateway.rate import Bucket
from realtime.accounts import Accounts
from realtime.stores.embedded import EmbeddedStore
from tests.media_gateway.auth.test_auth import NEW, OLD, Claimed, Clock

pytestmark = pytest.mark.anyio
ROOT = Bootstrap("admin", "a long enough secret")


class Ticks:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def accounts(tmp_path: Path) -> AsyncIterator[Accounts]:
    store = EmbeddedStore(tmp_path / "callboard.db")
    yield Accounts(store)
    await store.aclose()


async def entered(login: Login, name: str, password: str, tokens: Tokens) -> str:
    return tokens.access(await login(name, password, peer="p"))


async def test_a_user_logs_in_and_every_change_ends_the_tokens(accounts: Accounts) -> None:
    tokens, ticks, passwords = Tokens([NEW]), Ticks(), Passwords()
    gate = Gate(tokens, accounts, ROOT, monotonic=ticks)
    elsewhere = Gate(tokens, accounts, ROOT, monotonic=ticks)
    login = Login(gate, accounts, passwords=passwords)
    kept = await passwords.hash("correct horse battery")
    await accounts.add_user("ann", org="acme", role="viewer", password=kept, actor="root")
    token = await entered(login, " Ann", "correct horse battery", tokens)
    assert await gate.bearer(token) == Principal("ann", "acme", "viewer")
    assert await elsewhere.bearer(token) == Principal("ann", "acme", "viewer")
    with pytest.raises(AuthError, match="wrong user name or password"):
        await login("ann", "another horse", peer="p")

    ticket = tokens.ticket(await gate.bearer(token))
    await accounts.change_user("acme", "ann", actor="root", role="operator")
    gate.forget(user="ann")
    with pytest.raises(AuthError, match="ended"):
        await gate.bearer(token)
    with pytest.raises(AuthError, match="ended"):
        await gate.ticket(ticket, Claimed())
    assert (await elsewhere.bearer(token)).user == "ann", "the others learn it a little later"
    newer = await entered(login, "ann", "correct horse battery", tokens)
    assert (await elsewhere.bearer(newer)).role == "operator", "a newer token is not refused by who is behind"
    with pytest.raises(AuthError, match="ended"):
        await elsewhere.bearer(token)

    await accounts.change_user("acme", "ann", actor="root", disabled=True)
    ticks.now += FRESH_S
    for one in (gate, elsewhere):
        with pytest.raises(AuthError, match="ended"):
            await one.bearer(newer)
    with pytest.raises(AuthError, match="wrong user name or password"):
        await login("ann", "correct horse battery", peer="p")


async def test_another_admin_password_ends_the_tokens_of_the_one_before_and_a_new_key_does_not() -> None:
    before = Gate(Tokens([OLD]), None, ROOT)
    principal = await Login(before)("admin", ROOT.password, peer="p")
    token = before.tokens.access(principal)
    assert (await before.bearer(token)).role == "admin"
    rotated = Gate(Tokens([NEW, OLD]), None, ROOT)
    assert (await rotated.bearer(token)).role == "admin"
    with pytest.raises(AuthError, match="ended"):
        await Gate(Tokens([OLD]), None, Bootstrap("admin", "another one")).bearer(token)
    assert ROOT.password not in repr(ROOT)


async def test_a_token_of_our_own_machines_needs_no_account() -> None:
    tokens = Tokens([NEW])
    reminders = Principal("schedule_reminders", "acme", "operator")
    assert await Gate(tokens, None, ROOT).bearer(tokens.access(reminders)) == reminders


async def test_keys_of_machines(accounts: Accounts) -> None:
    ticks, clock = Ticks(), Clock()
    gate = Gate(Tokens([NEW]), accounts, ROOT, monotonic=ticks, clock=clock)
    key, text = await accounts.add_key("reports", org="acme", role="operator", actor="ann")
    principal = await gate.bearer(text)
    assert principal == Principal(f"key:{key.id}", "acme", "operator")
    used = await accounts.key(key.id)
    assert used is not None
    assert used.last_used_at is not None
    for wrong in (text[:-1] + ("A" if text[-1] != "A" else "B"), text + "x", "cbk_", f"cbk_{'0' * 12}_{'x' * 43}"):
        with pytest.raises(AuthError, match="no such key"):
            await gate.bearer(wrong)
    ticket = gate.tokens.ticket(principal)
    assert await gate.ticket(ticket, Claimed()) == principal
    await accounts.revoke_key("acme", key.id, actor="ann")
    gate.forget(key=key.id)
    with pytest.raises(AuthError, match="revoked"):
        await gate.bearer(text)
    with pytest.raises(AuthError, match="revoked"):
        await gate.check(principal)
    clock.later(timedelta(minutes=6))
    with pytest.raises(AuthError, match="revoked"):
        await gate.bearer(text)


async def test_guessing_keys_costs_the_store_no_more_than_a_little(accounts: Accounts) -> None:
    gate = Gate(Tokens([NEW]), accounts, monotonic=Ticks())
    _, text = await accounts.add_key("reports", org="acme", role="viewer", actor="ann")
    await gate.bearer(text)  # notes its use, and looks again at the next
    await gate.bearer(text)
    refusals: list[AuthError] = []
    for n in range(int(UNKNOWN_BURST) + 1):
        try:
            await gate.bearer(f"cbk_{n:012x}_{'x' * 43}")
        except AuthError as error:
            refusals.append(error)
    assert len(refusals) == int(UNKNOWN_BURST) + 1
    assert isinstance(refusals[-1], TooManyKeys)
    assert (await gate.bearer(text)).org == "acme", "who is known comes in meanwhile"


async def test_an_unknown_user_costs_a_verification_too(accounts: Accounts) -> None:
    seen: list[str | None] = []

    class Counted(Passwords):
        async def verify(self, kept: str | None, password: str) -> bool:
            seen.append(kept)
            return await super().verify(kept, password)

    login = Login(Gate(Tokens([NEW]), accounts, ROOT), accounts, passwords=Counted(), rate=Bucket(100, 100))
    for name in ("nobody", "", "ünknown"):
        with pytest.raises(AuthError, match="wrong user name or password"):
            await login(name, "whatever it is", peer=name)
    assert seen == [None, None, None]


@pytest.mark.parametrize("password", ["", "short", "a" * 1025, "aaaabbbbcccc"])
def test_passwords_that_are_too_weak(password: str) -> None:
    with pytest.raises(WeakPassword):
        check(password)
