"""Who is believed, and who is not."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from functions.signature import BadSignature, read
from tests.functions.apps import sign

NOW = 1_795_197_600.0
BODY = b'{"type": "x"}'


def covers(header: str | None, body: bytes = BODY, secret: str = "s") -> bool:
    return read(header, now=NOW).covers(body, secret)


def test_the_vendors_own_recipe_is_accepted() -> None:
    digest = hmac.new(b"s", b"1795197600." + BODY, hashlib.sha256).hexdigest()
    assert covers(f"t=1795197600,v0={digest}")


def test_it_agrees_with_the_vendors_own_library() -> None:
    import time

    from elevenlabs.errors import BadRequestError
    from elevenlabs.webhooks_custom import WebhooksClient

    construct = WebhooksClient.construct_event
    header = sign(BODY, secret="s")
    assert read(header, now=time.time()).covers(BODY, "s")
    assert construct(None, rawBody=BODY.decode(), sig_header=header, secret="s") == {"type": "x"}  # type: ignore[arg-type]
    with pytest.raises(BadRequestError):
        construct(None, rawBody=BODY.decode() + " ", sig_header=header, secret="s")  # type: ignore[arg-type]
    assert not read(header, now=time.time()).covers(BODY + b" ", "s")


@pytest.mark.parametrize(
    "form", ["t={t}, v0={d}", " t = {t} ,v0={d} ", "v0={d},t={t}", "v0=00,t={t},v0={d}", "t={t},v1=9,v0={d},v0=zz"]
)
def test_spaces_order_rotation_and_unknown_parts_are_tolerated(form: str) -> None:
    stamp, digest = sign(BODY, secret="s", at=NOW).removeprefix("t=").split(",v0=")
    assert covers(form.format(t=stamp, d=digest))


def test_another_body_secret_or_time_is_refused() -> None:
    header = sign(BODY, secret="s", at=NOW)
    assert not covers(header, BODY + b"\n")
    assert not covers(header, secret="t")
    assert not covers(header.replace("t=1795197600", "t=1795197601"))
    assert not covers(header[:-1])
    assert not covers(f"t={NOW:.0f},v0=é")


@pytest.mark.parametrize(("age", "accepted"), [(1800, True), (1801, False), (0, True), (-60, True), (-61, False)])
def test_half_an_hour_old_and_a_minute_ahead_at_most(age: int, accepted: bool) -> None:
    header = sign(BODY, secret="s", at=NOW - age)
    if accepted:
        assert covers(header)
    else:
        with pytest.raises(BadSignature):
            read(header, now=NOW)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "t=,v0=ab",
        "v0=ab",
        "t=1795197600",
        "t=now,v0=ab",
        "t=1e9,v0=ab",
        "t=-1,v0=ab",
        "t=1,t=2,v0=a",
        "t=²,v0=a",
        f"t={'9' * 5000},v0=ab",
        "garbage",
        "=,=,,",
    ],
)
def test_what_cannot_be_read_is_refused_not_a_crash(header: str | None) -> None:
    with pytest.raises(BadSignature):
        read(header, now=NOW)
