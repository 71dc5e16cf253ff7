"""What is known of a user and of an API key, and what can be one. Pure."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

Role = Literal["viewer", "operator", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "operator", "admin")
KEY_PREFIX = "cbk_"
"""Begins every API key, so that it is told from a token, and found by those who look for leaked secrets."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}", re.ASCII)
_ORG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_KEY = re.compile(rf"{KEY_PREFIX}([0-9a-f]{{12}})_([A-Za-z0-9_-]{{43}})", re.ASCII)
_LABEL = 64


class Invalid(ValueError):
    """A name, an organisation or a role that cannot be one; the text says what can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """`name` is unique in the installation. `stamp` is another one after every change that ends the user's tokens
    (password, role, disabled); `password` an argon2 hash. Times are ISO 8601 UTC."""

    name: str
    org: str
    role: Role
    password: str
    stamp: str
    disabled: bool = False
    one_time: bool = False
    """The password was given by somebody else: it is good for choosing another one, and for nothing more."""
    created_at: str = ""
    changed_at: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    def shown(self) -> dict[str, Any]:
        """What an administrator sees."""
        return {name: value for name, value in asdict(self).items() if name not in ("password", "stamp")}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Unknown keys are ignored. Raises TypeError on a poison document."""
        return cls(**{name: value for name, value in data.items() if name in cls.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A machine's key. `hash` is the SHA-256 of the secret part: that has 256 random bits, so no slow hash is
    needed."""

    id: str
    org: str
    role: Role
    label: str
    hash: str
    created_at: str
    created_by: str
    last_used_at: str | None = None
    revoked_at: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    def shown(self) -> dict[str, Any]:
        """What an administrator sees."""
        return {name: value for name, value in asdict(self).items() if name != "hash"}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Unknown keys are ignored. Raises TypeError on a poison document."""
        return cls(**{name: value for name, value in data.items() if name in cls.__slots__})


def user_name(text: str) -> str:
    """`text` as the name of a user, in lower case. Raises Invalid."""
    name = text.strip().lower()
    if not _NAME.fullmatch(name):
        raise Invalid("A user's name has 1 to 64 letters, digits and . _ @ + -, and begins with a letter or a digit.")
    return name


def org_name(text: str) -> str:
    """`text` as the name of an organisation. Raises Invalid."""
    if not _ORG.fullmatch(text):
        raise Invalid("An organisation's name has 1 to 63 small letters, digits and -.")
    return text


def role_name(text: str) -> Role:
    """`text` as a role. Raises Invalid."""
    for role in ROLES:
        if text == role:
            return role
    raise Invalid(f"A role is one of {', '.join(ROLES)}.")


def label(text: str) -> str:
    """`text` as what a key is called. Raises Invalid."""
    if not text.strip() or len(text) > _LABEL or not text.isprintable():
        raise Invalid(f"Say what the key is for, in at most {_LABEL} characters.")
    return text.strip()


def new_secret() -> str:
    """The secret part of a key: 32 random bytes."""
    return secrets.token_urlsafe(32)


def key_text(key_id: str, secret: str) -> str:
    """The whole key, as its holder keeps it."""
    return f"{KEY_PREFIX}{key_id}_{secret}"


def key_parts(text: str) -> tuple[str, str] | None:
    """(id, secret) of a whole key; None for what is none."""
    found = _KEY.fullmatch(text)
    return (found[1], found[2]) if found else None


def key_hash(secret: str) -> str:
    """What is kept of the secret part."""
    return hashlib.sha256(secret.encode()).hexdigest()
