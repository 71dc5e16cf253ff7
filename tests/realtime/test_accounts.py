"""Users and API keys, on both stores."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from realtime import audit
from realtime.accounts import Accounts, Invalid, NoAccount, Taken
from realtime.accounts.model import key_hash, key_parts, org_name, role_name
from realtime.stores.port import Conflict
from tests.realtime.stores import BOTH, opened, opener

pytestmark = pytest.mark.anyio
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize("kind", BOTH)
async def test_users(kind: str, request: pytest.FixtureRequest) -> None:
    async with opened(opener(kind, request, clock=lambda: NOON)) as store:
        accounts = Accounts(store, clock=lambda: NOON)
        ann = await accounts.add_user("Ann ", org="acme", role="viewer", password="$hash", actor="root")
        assert await accounts.user("ANN") == ann
        assert "password" not in ann.shown()
        assert "stamp" not in ann.shown()
        with pytest.raises(Taken):
            await accounts.add_user("ann", org="other", role="admin", password="$2", actor="root")
        await accounts.add_user("bob", org="acme", role="admin", password="$3", actor="root")
        await accounts.add_user("eve", org="other", role="admin", password="$4", actor="root")
        assert [user.name for user in await accounts.users("acme")] == ["ann", "bob"]

        after = await accounts.change_user("acme", "ann", actor="bob", role="operator", disabled=True)
        assert (after.role, after.disabled, after.password) == ("operator", True, "$hash")
        assert after.stamp != ann.stamp
        assert await accounts.user("ann") == after
        for stranger in ("other", "nobody"):
            with pytest.raises(NoAccount):
                await accounts.change_user(stranger, "ann", actor="eve", role="admin")
            with pytest.raises(NoAccount):
                await accounts.remove_user(stranger, "ann", actor="eve")
        await accounts.remove_user("acme", "ann", actor="bob")
        assert await accounts.user("ann") is None
        again = await accounts.add_user("ann", org="acme", role="viewer", password="$5", actor="bob")
        assert again.stamp not in (ann.stamp, after.stamp), "tokens of the one before are not hers"

        lines, _ = await audit.newest(store, "acme")
        told = sorted((line.actor, line.action, line.target) for line in lines)
        assert told == sorted(
            [
                ("root", "user.add", "ann"),
                ("root", "user.add", "bob"),
                ("bob", "user.change", "ann"),
                ("bob", "user.remove", "ann"),
                ("bob", "user.add", "ann"),
            ]
        )


@pytest.mark.parametrize("kind", BOTH)
async def test_keys(kind: str, request: pytest.FixtureRequest) -> None:
    async with opened(opener(kind, request, clock=lambda: NOON)) as store:
        accounts = Accounts(store, clock=lambda: NOON)
        key, text = await accounts.add_key("reporting", org="acme", role="viewer", actor="ann")
        parts = key_parts(text)
        assert parts is not None
        assert parts[0] == key.id
        assert key_hash(parts[1]) == key.hash
        (doc,) = await store.get(f"api_keys/{key.id}")
        assert doc is not None
        assert parts[1] not in str(doc.data), "the secret is kept nowhere"
        assert "hash" not in key.shown()
        await accounts.add_key("theirs", org="other", role="admin", actor="eve")
        assert [one.label for one in await accounts.keys("acme")] == ["reporting"]

        await accounts.used_key(key.id)
        used = await accounts.key(key.id)
        assert used is not None
        assert used.last_used_at is not None
        for org, name in (("other", key.id), ("acme", "0" * 12), ("acme", "x/y"), ("acme", "")):
            with pytest.raises(NoAccount):
                await accounts.revoke_key(org, name, actor="eve")
        await accounts.revoke_key("acme", key.id, actor="ann")
        await accounts.revoke_key("acme", key.id, actor="ann")
        gone = await accounts.key(key.id)
        assert gone is not None
        assert gone.revoked_at is not None
        await accounts.used_key(key.id)
        assert (await accounts.key(key.id) or gone).revoked_at == gone.revoked_at, "use does not undo it"
        lines, _ = await audit.newest(store, "acme")
        assert sorted(line.action for line in lines) == ["key.add", "key.revoke"]


@pytest.mark.parametrize("kind", BOTH)
async def test_of_two_changes_at_once_one_wins(kind: str, request: pytest.FixtureRequest) -> None:
    async with opened(opener(kind, request, clock=lambda: NOON)) as store:
        accounts = Accounts(store)
        await accounts.add_user("ann", org="acme", role="viewer", password="$1", actor="root")
        read = accounts._user_of

        async def late(org: str, name: str) -> object:
            found = await read(org, name)
            accounts._user_of = read  # type: ignore[method-assign]
            await accounts.change_user("acme", "ann", actor="bob", disabled=True)
            return found

        accounts._user_of = late  # type: ignore[method-assign, assignment]
        with pytest.raises(Conflict):
            await accounts.change_user("acme", "ann", actor="eve", role="admin")
        ann = await accounts.user("ann")
        assert ann is not None
        assert (ann.role, ann.disabled) == ("viewer", True)


@pytest.mark.parametrize("name", ["", " ", "a b", "ä", "key:abc", "a/b", ".a", "a" * 65])
async def test_names_that_are_none(name: str, request: pytest.FixtureRequest) -> None:
    async with opened(opener("embedded", request, clock=lambda: NOON)) as store:
        with pytest.raises(Invalid):
            await Accounts(store).add_user(name, org="acme", role="viewer", password="$", actor="root")


def test_organisations_roles_and_keys_that_are_none() -> None:
    for org in ("", "A", "a b", "a/b", "-a", "a" * 64):
        with pytest.raises(Invalid):
            org_name(org)
    for role in ("", "Admin", "root"):
        with pytest.raises(Invalid):
            role_name(role)
    for text in ("", "cbk_", "cbk_0123456789ab_short", "cbk_0123456789ab_" + "x" * 44, "cbk_XXXXXXXXXXXX_" + "x" * 43):
        assert key_parts(text) is None
