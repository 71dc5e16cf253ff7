"""Tokens, tickets, the login, the demo link, and the Host and Origin checks, without a server."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from argon2 import PasswordHasher

from media_gateway.auth import AuthError, Bootstrap, Gate, Principal, Tokens
from media_gateway.auth.doors import Doors, hostname, loopback
from media_gateway.auth.login import Delays, DemoLogin, Login, TooManyAttempts
from media_gateway.auth.passwords import Passwords
from media_gateway.auth.tokens import ACCESS_TTL, STREAM_TTL
from media_gateway.rate import Bucket

pytestmark = pytest.mark.anyio
OLD = ("old", "o" * 32)
NEW = ("new", "n" * 32)
ANN = Principal("ann", "acme", "operator")


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def later(self, by: timedelta) -> None:
        self.now += by


class Claimed:
    """The store's memory of what was used."""

    def __init__(self) -> None:
        self.keys: set[tuple[str, str]] = set()

    async def claim(self, kind: str, key: str, *, until: datetime) -> bool:
        new = (kind, key) not in self.keys
        self.keys.add((kind, key))
        return new


def test_the_first_key_signs_and_all_verify() -> None:
    before, during, after = Tokens([OLD]), Tokens([NEW, OLD]), Tokens([NEW])
    token = before.access(ANN)
    assert during.verify_access(token) == ANN
    assert jwt.get_unverified_header(during.access(ANN))["kid"] == "new"
    with pytest.raises(AuthError):
        after.verify_access(token)
    with pytest.raises(ValueError, match="at least one"):
        Tokens([])


def test_a_token_expires() -> None:
    clock = Clock()
    tokens = Tokens([NEW], clock=clock)
    token = tokens.access(ANN)
    clock.later(ACCESS_TTL - timedelta(seconds=1))
    assert tokens.verify_access(token) == ANN
    clock.later(timedelta(seconds=1))
    with pytest.raises(AuthError, match="expired"):
        tokens.verify_access(token)


def forged(**changes: object) -> str:
    claims = {"sub": "ann", "org": "acme", "role": "admin", "aud": "callboard", "exp": 2**33} | changes
    return jwt.encode(
        {key: value for key, value in claims.items() if value is not None}, NEW[1], headers={"kid": "new"}
    )


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        "\ud800",
        "\ud800.b.c",
        "é.b.c",
        base64.urlsafe_b64encode(b"[" * 100_000).decode() + ".b.c",
        jwt.encode({"sub": "ann", "org": "acme", "role": "admin", "aud": "callboard", "exp": 2**33}, NEW[1]),
        jwt.encode({"sub": "ann", "aud": "callboard", "exp": 2**33}, "another" * 6, headers={"kid": "new"}),
        forged(aud="callboard-ws"),
        forged(exp=None),
        forged(sub=None),
        forged(org=None),
        forged(org=7),
        forged(role="root"),
    ],
)
def test_a_token_that_is_not_ours(token: str) -> None:
    with pytest.raises(AuthError):
        Tokens([NEW]).verify_access(token)


def test_the_forger_of_these_tests_could_pass() -> None:
    assert Tokens([NEW]).verify_access(forged()).role == "admin"


async def test_a_ticket_works_once_on_any_instance() -> None:
    used = Claimed()
    ticket = Tokens([NEW]).ticket(ANN)
    assert await Tokens([NEW]).redeem_ticket(ticket, used) == ANN
    with pytest.raises(AuthError, match="used"):
        await Tokens([NEW]).redeem_ticket(ticket, used)
    with pytest.raises(AuthError):
        await Tokens([NEW]).redeem_ticket(Tokens([NEW]).access(ANN), used)
    assert len(used.keys) == 1


def test_the_token_of_a_stream_is_for_its_call_and_short_lived() -> None:
    clock = Clock()
    tokens = Tokens([NEW], clock=clock)
    token = tokens.stream(call_id="CA1", org="acme", resumed=True)
    claims = tokens.verify_stream(token, call_id="CA1")
    assert (claims.call_id, claims.org, claims.resumed) == ("CA1", "acme", True)
    assert claims.expires == clock.now + STREAM_TTL
    with pytest.raises(AuthError, match="another call"):
        tokens.verify_stream(token, call_id="CA2")
    with pytest.raises(AuthError):
        tokens.verify_access(token)
    clock.later(STREAM_TTL)
    with pytest.raises(AuthError, match="expired"):
        tokens.verify_stream(token, call_id="CA1")


def test_roles_include_those_before_them() -> None:
    assert ANN.may("viewer")
    assert ANN.may("operator")
    assert not ANN.may("admin")


def login_of(password: str, **more: Any) -> Login:
    """The administrator of the environment alone."""
    return Login(Gate(Tokens([NEW]), None, Bootstrap("admin", password)), **more)


class Counted(Passwords):
    """How often something was verified."""

    def __init__(self) -> None:
        super().__init__()
        self.hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
        self.verified: list[str | None] = []

    async def verify(self, kept: str | None, password: str) -> bool:
        self.verified.append(kept)
        return await super().verify(kept, password)


async def test_a_password_that_is_kept_as_it_is_costs_no_hash_unless_it_is_wrong() -> None:
    """Those who come together after a start would wait for each other's. A guess costs what any guess costs."""
    passwords = Counted()
    login = login_of("secret", passwords=passwords)
    who = await asyncio.gather(*(login("admin", "secret", peer="1.2.3.4") for _ in range(5)))
    assert {principal.user for principal in who} == {"admin"}
    assert passwords.verified == []
    for username, password in (("admin", "guess"), ("admin", ""), ("nobody", "secret")):
        with pytest.raises(AuthError, match="wrong"):
            await login(username, password, peer="p")
    assert passwords.verified == [None, None, None]


async def test_without_a_password_nobody_is_the_administrator() -> None:
    login = login_of("", passwords=Counted())
    with pytest.raises(AuthError, match="wrong"):
        await login("admin", "", peer="p")


HASHED = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("secret")


@pytest.mark.parametrize("kept", ["secret", HASHED], ids=["plain", "hashed"])
async def test_login(kept: str) -> None:
    login = login_of(kept)
    assert (await login("admin", "secret", peer="p")).user == "admin"
    for username, password in (("admin", "wrong"), ("nobody", "secret"), ("", ""), ("ädmin", "secret")):
        with pytest.raises(AuthError, match="wrong user name or password"):
            await login(username, password, peer="p")


class Waits:
    """Takes the place of sleep."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


async def test_guesses_wait_longer_and_longer_and_the_right_password_never() -> None:
    waits = Waits()
    login = login_of(HASHED, sleep=waits, rate=Bucket(1_000, 1_000))
    for _ in range(9):
        with pytest.raises(AuthError, match="wrong"):
            await login("admin", "guess", peer="p")
    assert waits.seconds == [0.0, 0.0, 0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    assert (await login("admin", "secret", peer="p")).user == "admin", "though somebody failed under the same key"
    assert len(waits.seconds) == 9
    with pytest.raises(AuthError, match="wrong"):
        await login("admin", "guess", peer="p")
    assert waits.seconds[-1] == 0.0, "forgiven"


async def test_all_attempts_together_have_one_rate() -> None:
    now = 0.0
    login = login_of(HASHED, rate=Bucket(2, 3), clock=lambda: now)
    for peer in "abc":
        await login("admin", "secret", peer=peer)
    with pytest.raises(TooManyAttempts) as refused:
        await login("admin", "secret", peer="d")
    assert refused.value.retry_after == 1
    now = 0.5
    await login("admin", "secret", peer="d")


async def test_an_attempt_that_was_not_verified_in_time_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Waits()
    passwords = Passwords()
    login = login_of(HASHED, sleep=waits, delays=Delays(free=0), passwords=passwords)
    passwords.slots = asyncio.Semaphore(0)
    monkeypatch.setattr("media_gateway.auth.passwords._DEADLINE_S", 0.01)
    with pytest.raises(TimeoutError):
        await login("admin", "guess", peer="p")
    monkeypatch.undo()
    passwords.slots = asyncio.Semaphore(1)
    with pytest.raises(AuthError, match="wrong"):
        await login("admin", "guess", peer="p")
    assert waits.seconds == [0.5], "the first failure"


def test_delays_forget_the_oldest_and_the_old() -> None:
    now = 0.0
    delays = Delays(free=0, most=2, forget_s=10, clock=lambda: now)
    for key in ("a", "b", "c"):
        assert delays.failed(key) == 0.5
    assert delays.failed("c") == 1.0
    assert delays.failed("a") == 0.5
    now = 10.5
    assert delays.failed("c") == 0.5
    for _ in range(2_000):
        delay = delays.failed("c")
    assert delay == 8.0


def test_passwords_are_hashed_for_one_thread() -> None:
    assert Passwords().hasher.parallelism == 1


async def test_who_came_in_is_good_until_the_token_expires() -> None:
    clock = Clock()
    tokens = Tokens([NEW], clock=clock)
    principal = tokens.verify_access(tokens.access(ANN))
    assert principal.expires == clock.now + ACCESS_TTL
    clock.later(timedelta(hours=1))
    through = await tokens.redeem_ticket(tokens.ticket(principal), Claimed())
    assert through.expires == principal.expires


def test_a_demo_link_works_once() -> None:
    demo = DemoLogin("admin", code="abc")
    for wrong in ("", "abd", "äbc"):
        with pytest.raises(AuthError):
            demo.exchange(wrong)
    assert demo.exchange("abc").role == "admin"
    with pytest.raises(AuthError):
        demo.exchange("abc")
    assert len(DemoLogin("admin").code) > 16


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Calls.Example.com:443", "calls.example.com"),
        ("127.0.0.1:8080", "127.0.0.1"),
        ("[::1]:8080", "::1"),
        ("", ""),
        ("[::1", ""),
        ("user@evil.com", ""),
        ("127.0.0.1; script-src *", ""),
        ("127.0.0.1:8080 evil.com", ""),
        ("127.0.0.1/x", ""),
        ("localhost\n", ""),
        ("ｌocalhost", ""),
    ],
)
def test_the_name_in_a_host_header(host: str, name: str) -> None:
    assert hostname(host) == name


def test_loopback() -> None:
    assert all(map(loopback, ("localhost", "127.0.0.1", "127.8.9.1", "::1", "app.localhost")))
    assert not any(map(loopback, ("", "127.0.0.1.evil.com", "10.0.0.1", "0.0.0.0", "localhost.evil.com")))


def test_who_may_come_in() -> None:
    public = Doors("calls.example.com")
    assert public.refusal({"host": "calls.example.com"}) is None
    assert public.refusal({"host": "localhost:8080", "x-forwarded-for": "1.2.3.4"}) is None
    for host in ("evil.com", "", "calls.example.com.evil.com", "x.run.app"):
        refusal = public.refusal({"host": host})
        assert refusal is not None
        assert refusal[0] == "host_not_allowed"
    assert Doors("calls.example.com", on_cloud_run=True).refusal({"host": "tag---svc-x.run.app"}) is None


def test_from_outside_a_laptop_needs_real_secrets() -> None:
    laptop = Doors("tunnel.example.com", dev=True, generated=frozenset({"JWT_SECRET", "ELEVENLABS_WEBHOOK_SECRET"}))
    assert laptop.refusal({"host": "127.0.0.1:8080"}) is None
    forwarded = ("x-forwarded-for", "CF-Connecting-IP", "X-Original-Host", "X-Forwarded-Port", "X-Client-IP")
    outside = [{"host": "127.0.0.1", name.lower(): "1.2.3.4"} for name in (*forwarded, "True-Client-IP")]
    for headers in ({"host": "tunnel.example.com"}, *outside):
        refusal = laptop.refusal(headers)
        assert refusal is not None
        assert refusal[0] == "real_secrets_needed"
        assert "JWT_SECRET" in refusal[2]
        assert "ELEVENLABS" not in refusal[2]
    real = Doors("tunnel.example.com", dev=True)
    assert real.refusal({"host": "tunnel.example.com", "x-forwarded-proto": "https"}) is None
    assert not real.local({"host": "tunnel.example.com"})


@pytest.mark.parametrize(
    ("origin", "same"),
    [
        (None, True),
        ("http://127.0.0.1:8080", True),
        ("https://calls.example.com", True),
        ("http://127.0.0.1:9090", False),
        ("https://evil.com", False),
        ("null", False),
        ("file://", False),
    ],
)
def test_origins(origin: str | None, same: bool) -> None:
    headers = {"host": "127.0.0.1:8080"} | ({} if origin is None else {"origin": origin})
    assert Doors("calls.example.com").same_origin(headers) is same
