"""The OIDC token of a push, with a key set of our own: the emulator sends none."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from functions import oidc
from functions.oidc import AGAIN_SECONDS, LIFE_SECONDS, Certificates, NoCertificates
from realtime.call import Call, Status
from tests.functions.apps import app_of
from tests.functions.test_apply_call_event import found, opened, push, status

AUDIENCE, ACCOUNT = "https://apply.example.com", "callboard-push@project.iam.gserviceaccount.com"


class Google:
    """A signer and its certificates on the loopback interface."""

    def __init__(self) -> None:
        self.keys = {kid: rsa.generate_private_key(public_exponent=65537, key_size=2048) for kid in ("k1", "stolen")}
        self.published = ["k1"]
        self.answer: tuple[int, bytes] | None = None
        self.asked = 0
        self.url = ""

    def body(self) -> bytes:
        return json.dumps({kid: certificate(self.keys[kid]) for kid in self.published}).encode()

    def token(self, kid: str = "k1", *, header: dict[str, Any] | None = None, **changes: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": "https://accounts.google.com",
            "aud": AUDIENCE,
            "email": ACCOUNT,
            "email_verified": True,
            "sub": "117",
            "iat": now,
            "exp": now + 3600,
            **changes,
        }
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, self.keys[kid], algorithm="RS256", headers={"kid": kid} if header is None else header)


def certificate(key: rsa.RSAPrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "federated-signon")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(scope="module")
def signer() -> Google:
    return Google()


@pytest.fixture
def google(signer: Google) -> Iterator[Google]:
    signer.published, signer.answer, signer.asked = ["k1"], None, 0
    oidc._certificates.clear()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            signer.asked += 1
            code, body = signer.answer or (200, signer.body())
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "public, max-age=20000, must-revalidate")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    signer.url = f"http://127.0.0.1:{server.server_port}/certs"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield signer
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def guarded(embedded: Path, google: Google, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CALLBOARD_PUSH_AUDIENCE", AUDIENCE)
    monkeypatch.setenv("CALLBOARD_PUSH_ACCOUNT", ACCOUNT)
    monkeypatch.setenv("CALLBOARD_PUSH_CERTS_URL", google.url)
    opened(embedded, Call(call_id="CA1", call_sid="CA1"))
    return embedded


def pushed(token: str | None, query: str = "") -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = app_of("apply_call_event").test_client().post(f"/{query}", json=push(status("ringing")), headers=headers)
    return answer.status_code


def test_google_s_push_is_applied_and_its_certificates_are_kept(guarded: Path, google: Google) -> None:
    assert [pushed(google.token()) for _ in range(3)] == [204, 204, 204]
    assert google.asked == 1
    assert found(guarded).status is Status.RINGING


def _none_alg(google: Google) -> str:
    return jwt.encode({"aud": AUDIENCE, "email": ACCOUNT}, "", algorithm="none", headers={"kid": "k1"})


def _confused(google: Google) -> str:
    """HS256 with the public certificate as the secret, which everybody has; by hand, for no library will."""
    import base64
    import hashlib
    import hmac

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {"aud": AUDIENCE, "email": ACCOUNT, "iat": int(time.time()), "exp": int(time.time()) + 60}
    signed = f"{part({'alg': 'HS256', 'kid': 'k1'})}.{part(claims)}"
    secret = json.loads(google.body())["k1"].encode()
    mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(lambda g: g.token(aud="https://another.example.com"), id="another audience"),
        pytest.param(lambda g: g.token(email="eve@project.iam.gserviceaccount.com"), id="another account"),
        pytest.param(lambda g: g.token(email_verified=False), id="account not verified"),
        pytest.param(lambda g: g.token(email_verified="true"), id="verified in words"),
        pytest.param(lambda g: g.token(email=None), id="no account"),
        pytest.param(lambda g: g.token(iss="https://evil.example.com"), id="another issuer"),
        pytest.param(lambda g: g.token(iat=0, exp=10), id="expired"),
        pytest.param(lambda g: g.token(exp=None), id="without an end"),
        pytest.param(lambda g: g.token(iat=int(time.time()) + 3600), id="from the future"),
        pytest.param(lambda g: g.token("stolen"), id="a key that Google does not have"),
        pytest.param(lambda g: g.token("stolen", header={"kid": "k1"}), id="another key under that name"),
        pytest.param(lambda g: g.token(header={}), id="no key named"),
        pytest.param(lambda g: g.token()[:-8] + "AAAAAAAA", id="signature changed"),
        pytest.param(_none_alg, id="unsigned"),
        pytest.param(_confused, id="HS256 with the certificate"),
        pytest.param(lambda _: "x", id="nonsense"),
        pytest.param(lambda _: "a.b.c", id="three parts of nonsense"),
        pytest.param(lambda _: "e30.e30.e30", id="empty objects"),
        pytest.param(lambda g: "A" * 9000 + g.token(), id="too long"),
    ],
)
def test_what_is_not_google_s_push_changes_nothing(guarded: Path, google: Google, token: Any) -> None:
    assert pushed(token(google)) == 403
    assert found(guarded).status is Status.INITIATED


def test_without_a_token_or_with_it_elsewhere(guarded: Path, google: Google) -> None:
    assert pushed(None) == 401
    assert pushed(None, f"?token={google.token()}") == 401
    assert found(guarded).status is Status.INITIATED


def test_while_the_certificates_cannot_be_had_it_is_delivered_again(guarded: Path, google: Google) -> None:
    for answer in ((500, b""), (200, b"[]"), (200, b"no json"), (200, b'{"k1": 7}')):
        google.answer = answer
        assert pushed(google.token()) == 503
    google.answer = None
    assert pushed(google.token()) == 204


@pytest.mark.parametrize("given", [{}, {"CALLBOARD_PUSH_AUDIENCE": AUDIENCE}, {"CALLBOARD_PUSH_ACCOUNT": ACCOUNT}])
def test_on_cloud_run_it_fails_closed(
    embedded: Path, monkeypatch: pytest.MonkeyPatch, google: Google, given: dict[str, str]
) -> None:
    opened(embedded, Call(call_id="CA1", call_sid="CA1"))
    monkeypatch.setenv("K_SERVICE", "apply")
    monkeypatch.setenv("CALLBOARD_PUSH_TOKEN", "a-token")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    for token in (None, "a-token", google.token()):
        assert pushed(token) == 503
    assert found(embedded).status is Status.INITIATED


def test_certificates_are_fetched_anew_for_an_unknown_key_now_and_then_and_when_they_end(google: Google) -> None:
    now = 0.0
    certificates = Certificates(google.url, monotonic=lambda: now)
    assert set(certificates.get("k1")) == {"k1"}
    google.published = ["k1", "stolen"]
    for _ in range(5):
        certificates.get("stolen")
    assert google.asked == 1, "who names keys nobody knows does not make us ask"
    now += AGAIN_SECONDS
    assert set(certificates.get("stolen")) == {"k1", "stolen"}
    google.published = ["k1"]
    now += 20_000
    assert set(certificates.get("stolen")) == {"k1"}
    google.answer = (500, b"")
    now += max(20_000, LIFE_SECONDS)
    with pytest.raises(NoCertificates):
        certificates.get("k1")
