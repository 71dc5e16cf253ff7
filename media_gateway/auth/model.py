"""The one who asks, and the refusal."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Role = Literal["viewer", "operator", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "operator", "admin")


@dataclass(frozen=True, slots=True)
class Principal:
    """A user or machine. Everything it may see belongs to `org`; roles include those before them."""

    user: str
    org: str
    role: Role
    expires: datetime | None = field(default=None, compare=False)
    """When what it showed runs out; None if that is not known."""

    def may(self, role: Role) -> bool:
        """True if this principal holds `role` or a greater one."""
        return ROLES.index(self.role) >= ROLES.index(role)


class AuthError(Exception):
    """Not let in. The text may be shown; it never says which part of a secret was wrong."""
