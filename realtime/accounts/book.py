"""Users and API keys in the document store; every change with its line in the audit log, in one commit.

    users/{sha256(name)}    `User`; a name is taken once in the installation, whatever the organisation
    api_keys/{id}           `ApiKey`

Neither expires. Passwords are hashed by whoever brings them: this room knows no argon2.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from realtime import audit
from realtime.accounts.model import (
    ApiKey,
    Role,
    User,
    key_hash,
    key_text,
    label,
    new_secret,
    org_name,
    user_name,
)
from realtime.clock import Clock, iso, utcnow
from realtime.paths import digest
from realtime.stores.port import Conflict, Create, Delete, Doc, DocumentStore, Put, Query, Write

PAGE = 200
MOST = 2_000
"""Users, or keys, of an organisation that are listed."""


class Taken(Exception):
    """There is a user of this name already."""


class NoAccount(LookupError):
    """There is no such user or key in this organisation."""


class Accounts:
    """Over any store; one per process. Methods raise StoreUnavailable."""

    def __init__(self, store: DocumentStore, *, clock: Clock = utcnow) -> None:
        self._store, self._clock = store, clock

    # -- users -----------------------------------------------------------------------------------------------------

    async def user(self, name: str) -> User | None:
        """By name, in whatever organisation."""
        (doc,) = await self._store.get(_user_path(name))
        return User.from_dict(doc.data) if doc else None

    async def users(self, org: str) -> list[User]:
        """Of one organisation, by name."""
        return sorted((User.from_dict(doc.data) for doc in await self._of("users", org)), key=lambda user: user.name)

    async def add_user(
        self, name: str, *, org: str, role: Role, password: str, actor: str, one_time: bool = False
    ) -> User:
        """`password` is its hash; `one_time`: it has to be changed first. Raises Invalid, Taken."""
        now = self._clock()
        user = User(
            name=user_name(name),
            org=org_name(org),
            role=role,
            password=password,
            stamp=secrets.token_hex(8),
            one_time=one_time,
            created_at=iso(now),
            changed_at=iso(now),
        )
        line = audit.entry(user.org, actor, "user.add", user.name, now, {"role": role})
        try:
            await self._store.commit([Create(_user_path(user.name), user.to_dict()), line])
        except Conflict:
            raise Taken(f"There is a user {user.name} already.") from None
        return user

    async def change_user(
        self,
        org: str,
        name: str,
        *,
        actor: str,
        role: Role | None = None,
        disabled: bool | None = None,
        password: str | None = None,
        one_time: bool = False,
    ) -> User:
        """Set what is given (`one_time` goes with a password); the user's tokens end. Raises NoAccount; Conflict when
        another change was faster."""
        doc, user = await self._user_of(org, name)
        values = {"role": role, "disabled": disabled, "password": password}
        change: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
        if password is not None:
            change["one_time"] = one_time
        now = self._clock()
        after = replace(user, **change, stamp=secrets.token_hex(8), changed_at=iso(now))
        told = {name: value for name, value in change.items() if name not in ("password", "one_time")}
        line = audit.entry(org, actor, "user.change", user.name, now, {**told, "password": "password" in change})
        await self._store.commit([Put(doc.path, after.to_dict(), doc.version), line])
        return after

    async def remove_user(self, org: str, name: str, *, actor: str) -> None:
        """The name is free again; tokens of the one who had it stay without effect. Raises NoAccount, Conflict."""
        doc, user = await self._user_of(org, name)
        line = audit.entry(org, actor, "user.remove", user.name, self._clock())
        await self._store.commit([Delete(doc.path, doc.version), line])

    # -- API keys --------------------------------------------------------------------------------------------------

    async def key(self, key_id: str) -> ApiKey | None:
        """By the id in the key."""
        (doc,) = await self._store.get(_key_path(key_id))
        return ApiKey.from_dict(doc.data) if doc else None

    async def keys(self, org: str) -> list[ApiKey]:
        """Of one organisation, oldest first; revoked ones too."""
        found = [ApiKey.from_dict(doc.data) for doc in await self._of("api_keys", org)]
        return sorted(found, key=lambda key: (key.created_at, key.id))

    async def add_key(self, what_for: str, *, org: str, role: Role, actor: str) -> tuple[ApiKey, str]:
        """The key, and its text: that is not kept and cannot be had again. Raises Invalid."""
        secret, now = new_secret(), self._clock()
        key = ApiKey(
            id=secrets.token_hex(6),
            org=org_name(org),
            role=role,
            label=label(what_for),
            hash=key_hash(secret),
            created_at=iso(now),
            created_by=actor,
        )
        line = audit.entry(key.org, actor, "key.add", key.id, now, {"role": role})
        await self._store.commit([Create(_key_path(key.id), key.to_dict()), line])
        return key, key_text(key.id, secret)

    async def revoke_key(self, org: str, key_id: str, *, actor: str) -> None:
        """For good; no error if it was revoked before. Raises NoAccount, Conflict."""
        (doc,) = await self._store.get(_key_path(key_id)) if _is_key_id(key_id) else (None,)
        if doc is None or doc.data["org"] != org:
            raise NoAccount(f"There is no key {key_id}.")
        key, now = ApiKey.from_dict(doc.data), self._clock()
        if key.revoked_at is None:
            line = audit.entry(org, actor, "key.revoke", key.id, now)
            await self._store.commit([Put(doc.path, replace(key, revoked_at=iso(now)).to_dict(), doc.version), line])

    async def used_key(self, key_id: str) -> None:
        """Note that it was used now. Whoever changes the key meanwhile is not undone. Raises Conflict."""
        (doc,) = await self._store.get(_key_path(key_id))
        if doc is not None:
            used: Mapping[str, Any] = {**doc.data, "last_used_at": iso(self._clock())}
            write: Write = Put(doc.path, used, doc.version)
            await self._store.commit([write])

    # -- inside ----------------------------------------------------------------------------------------------------

    async def _user_of(self, org: str, name: str) -> tuple[Doc, User]:
        (doc,) = await self._store.get(_user_path(name))
        if doc is None or doc.data["org"] != org:
            raise NoAccount(f"There is no user {name}.")
        return doc, User.from_dict(doc.data)

    async def _of(self, collection: str, org: str) -> list[Doc]:
        found: list[Doc] = []
        after: str | None = None
        while len(found) < MOST:
            docs = await self._store.query(Query(collection, [("org", "==", org)], limit=PAGE, after=after))
            found += docs
            if len(docs) < PAGE:
                break
            after = docs[-1].path
        return found


def _user_path(name: str) -> str:
    return f"users/{digest(name.strip().lower())}"


def _key_path(key_id: str) -> str:
    return f"api_keys/{key_id}"


def _is_key_id(text: str) -> bool:
    return len(text) == 12 and all(letter in "0123456789abcdef" for letter in text)
