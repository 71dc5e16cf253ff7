"""The one who asks, and the refusal."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from realtime.accounts.model import ROLES, Role

__all__ = ["ROLES", "AuthError", "Principal", "Role"]


@dataclass(frozen=True, slots=True)
class Principal:
    """A user or machine. Everything it may see belongs to `org`; roles include those before them. `user` is the name
    of a user, or `key:{id}`."""

    user: str
    org: str
    role: Role
    expires: datetime | None = field(default=None, compare=False)
    """When what it showed runs out; None if that is not known."""
    proof: str | None = field(default=None, compare=False)
    """What must still hold for it to be let in (`auth.gate`): `user:{stamp}`, `key:{id}`, `env:{fingerprint}`. None for
    a token that we made for a machine of our own: its signature and its short life say all."""

    one_time: bool = field(default=False, compare=False)
    """Has come in with a password that is good for choosing another one (`auth.gate`)."""

    def may(self, role: Role) -> bool:
        """True if this principal holds `role` or a greater one."""
        return ROLES.index(self.role) >= ROLES.index(role)


class AuthError(Exception):
    """Not let in. The text may be shown; it never says which part of a secret was wrong."""
