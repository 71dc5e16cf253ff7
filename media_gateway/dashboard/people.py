"""Who may come in: `/api/v1/users`, `/api/v1/keys`, `/api/v1/me` and one's own password.

An administrator manages the accounts of their own organisation, and nobody else's exist for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from media_gateway.auth.login import TooManyAttempts
from media_gateway.auth.model import AuthError, Principal, Role
from media_gateway.auth.passwords import Passwords, WeakPassword
from media_gateway.dashboard.access import MAX_JSON, AccessRoutes, read_json
from media_gateway.http_errors import ApiError
from realtime.accounts import Accounts, Invalid, NoAccount, Taken
from realtime.clock import iso
from realtime.stores.port import Conflict


class _NewUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    password: str
    role: Role = "viewer"
    one_time: bool = False


class _UserChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Role | None = None
    disabled: bool | None = None
    password: str | None = None
    one_time: bool = False


class _NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    label: str
    role: Role = "viewer"


class _OwnPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    current: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """`access` lets in whoever has changed their password with a new token: the old ones are over."""

    access: AccessRoutes
    accounts: Accounts
    passwords: Passwords

    def routes(self) -> list[Route]:
        """For the application."""
        guard, users, keys = self.access.guard, "/api/v1/users", "/api/v1/keys"
        return [
            Route("/api/v1/me", guard(self.me, one_time=True), methods=["GET"]),
            Route("/auth/password", guard(self.own_password, one_time=True), methods=["POST"], max_body_size=MAX_JSON),
            Route(users, guard(self.users, "admin"), methods=["GET"]),
            Route(users, guard(self.add_user, "admin"), methods=["POST"], max_body_size=MAX_JSON),
            Route(f"{users}/{{name}}", guard(self.change_user, "admin"), methods=["PATCH"], max_body_size=MAX_JSON),
            Route(f"{users}/{{name}}", guard(self.remove_user, "admin"), methods=["DELETE"]),
            Route(keys, guard(self.keys, "admin"), methods=["GET"]),
            Route(keys, guard(self.add_key, "admin"), methods=["POST"], max_body_size=MAX_JSON),
            Route(f"{keys}/{{key_id}}", guard(self.revoke_key, "admin"), methods=["DELETE"]),
        ]

    async def me(self, _request: Request, principal: Principal) -> Response:
        """Who asks: user, organisation, role, and when the token runs out."""
        expires = iso(principal.expires) if principal.expires else None
        kind = (principal.proof or "").partition(":")[0]
        body = {"user": principal.user, "org": principal.org, "role": principal.role, "expires": expires}
        return _private({**body, "kind": {"key": "key", "user": "user", "env": "environment"}.get(kind, "service")})

    async def own_password(self, request: Request, principal: Principal) -> Response:
        """`{current, new}`: one's own password; every other token of this user ends, and a new one is the answer."""
        given = await read_json(request, _OwnPassword)
        if not (principal.proof or "").startswith("user:"):
            raise ApiError(409, "This is not a user of the store.", fix="Set ADMIN_PASSWORD, or revoke the key.")
        try:
            peer = request.client.host if request.client else ""
            await self.access.login(principal.user, given.current, peer=peer)
        except TooManyAttempts as error:
            raise ApiError(429, str(error), headers={"Retry-After": str(error.retry_after)}) from error
        except AuthError as error:
            raise ApiError(403, "That is not the current password.", fix="An administrator can set one.") from error
        except TimeoutError as error:
            raise ApiError(503, "Too many people log in at once.") from error
        if given.new == given.current:
            raise ApiError(422, "That is the password you have.", fix="Choose another one.")
        await self._change(principal.org, principal.user, actor=principal.user, password=await self._hash(given.new))
        user = await self.accounts.user(principal.user)
        if user is None:
            raise ApiError(409, "This user has just been removed.")
        return self.access.token(Principal(user.name, user.org, user.role, None, f"user:{user.stamp}"))

    async def users(self, _request: Request, principal: Principal) -> Response:
        """The organisation's users, and the administrator of the environment."""
        found: list[dict[str, Any]] = [user.shown() for user in await self.accounts.users(principal.org)]
        root = self.access.gate.bootstrap
        if root is not None and root.org == principal.org:
            own = {"name": root.username, "org": root.org, "role": "admin", "disabled": False}
            found.insert(0, {**own, "source": "environment"})
        return _private({"users": found})

    async def add_user(self, request: Request, principal: Principal) -> Response:
        """`{name, password, role, one_time?}`: a new user of the organisation; `one_time`: they choose another password
        when they first log in."""
        given = await read_json(request, _NewUser)
        root = self.access.gate.bootstrap
        if root is not None and given.name.strip().lower() == root.username.lower():
            raise ApiError(409, "That is the administrator of the environment.", fix="Choose another name.")
        password = await self._hash(given.password)
        try:
            user = await self.accounts.add_user(
                given.name,
                org=principal.org,
                role=given.role,
                password=password,
                actor=principal.user,
                one_time=given.one_time,
            )
        except Invalid as error:
            raise ApiError(422, str(error)) from error
        except Taken as error:
            raise ApiError(409, str(error), fix="Choose another name.") from error
        self.access.gate.forget(user=user.name)
        return _private(user.shown(), 201)

    async def change_user(self, request: Request, principal: Principal) -> Response:
        """`{role, disabled, password, one_time}`, each optional: the user's tokens end."""
        name = request.path_params["name"].strip().lower()
        given = await read_json(request, _UserChange)
        if name == principal.user:
            raise ApiError(409, "You cannot change yourself here.", fix="Use POST /auth/password.")
        hashed = await self._hash(given.password) if given.password is not None else None
        if given.role is None and given.disabled is None and given.password is None:
            raise ApiError(422, "Say what is to change: role, disabled or password.")
        user = await self._change(
            principal.org,
            name,
            actor=principal.user,
            role=given.role,
            disabled=given.disabled,
            password=hashed,
            one_time=given.one_time,
        )
        return _private(user)

    async def remove_user(self, request: Request, principal: Principal) -> Response:
        """The user is gone, and so is every token of theirs."""
        name = request.path_params["name"].strip().lower()
        if name == principal.user:
            raise ApiError(409, "You cannot remove yourself.", fix="Ask another administrator.")
        try:
            await self.accounts.remove_user(principal.org, name, actor=principal.user)
        except NoAccount as error:
            raise ApiError(404, "There is no such user.", fix="See GET /api/v1/users.") from error
        except Conflict as error:
            raise ApiError(409, "Somebody else has just changed this user.") from error
        self.access.gate.forget(user=name)
        return Response(status_code=204)

    async def keys(self, _request: Request, principal: Principal) -> Response:
        """The organisation's API keys, without their secrets."""
        return _private({"keys": [key.shown() for key in await self.accounts.keys(principal.org)]})

    async def add_key(self, request: Request, principal: Principal) -> Response:
        """`{label, role}`: a new key. Its text is in this answer and nowhere else."""
        given = await read_json(request, _NewKey)
        try:
            key, text = await self.accounts.add_key(
                given.label, org=principal.org, role=given.role, actor=principal.user
            )
        except Invalid as error:
            raise ApiError(422, str(error)) from error
        return _private({**key.shown(), "key": text}, 201)

    async def revoke_key(self, request: Request, principal: Principal) -> Response:
        """The key opens nothing any more."""
        key_id = request.path_params["key_id"]
        try:
            await self.accounts.revoke_key(principal.org, key_id, actor=principal.user)
        except NoAccount as error:
            raise ApiError(404, "There is no such key.", fix="See GET /api/v1/keys.") from error
        except Conflict as error:
            raise ApiError(409, "Somebody else has just changed this key.") from error
        self.access.gate.forget(key=key_id)
        return Response(status_code=204)

    async def _change(self, org: str, name: str, *, actor: str, **change: Any) -> dict[str, Any]:
        try:
            user = await self.accounts.change_user(org, name, actor=actor, **change)
        except NoAccount as error:
            raise ApiError(404, "There is no such user.", fix="See GET /api/v1/users.") from error
        except Conflict as error:
            raise ApiError(409, "Somebody else has just changed this user.") from error
        self.access.gate.forget(user=name)
        return user.shown()

    async def _hash(self, password: str) -> str:
        try:
            return await self.passwords.hash(password)
        except WeakPassword as error:
            raise ApiError(422, str(error)) from error
        except TimeoutError as error:
            raise ApiError(503, "Too many passwords are hashed at once.") from error


def _private(body: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse(body, status, headers={"Cache-Control": "no-store"})
