"""Who may push to the applier.

From Pub/Sub: the OIDC token of the subscription's service account, checked here (signature, audience, account) where
`CALLBOARD_PUSH_AUDIENCE` and `CALLBOARD_PUSH_ACCOUNT` are set. On Cloud Run they must be: IAM in front of the function
is a second lock, not a reason to leave this one open.

From the embedded bus, and from the Pub/Sub emulator, which sends no OIDC token: `CALLBOARD_PUSH_TOKEN` (`dev` makes one
up at every start), as `Authorization: Bearer ...` or as `?token=...` in the push endpoint.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from functions.settings import Misconfigured, Settings

if TYPE_CHECKING:
    import flask


class NotAllowed(Exception):
    """The push does not come from our bus. `status` is 401 without a token, 403 with a wrong one."""

    def __init__(self, status: int, why: str = "") -> None:
        super().__init__(why or ("the push has no token" if status == 401 else "the token of the push is wrong"))
        self.status = status


def check(request: flask.Request, settings: Settings) -> None:
    """Raises NotAllowed, Misconfigured. On a laptop without any token of our own there is nothing to check."""
    if settings.push_audience and settings.push_account:
        _check_oidc(request, settings)
    elif settings.push_audience or settings.push_account or settings.on_cloud_run:
        raise Misconfigured(
            "CALLBOARD_PUSH_AUDIENCE and CALLBOARD_PUSH_ACCOUNT must both be set: the audience and the service account "
            "of the push subscription"
        )
    elif settings.push_token:
        _check_token(request, settings.push_token)


def _check_oidc(request: flask.Request, settings: Settings) -> None:
    from functions.oidc import BadToken, NoCertificates, verify

    token = _bearer(request)
    if not token:
        raise NotAllowed(401)
    try:
        verify(token, audience=settings.push_audience, account=settings.push_account, certs_url=settings.push_certs_url)
    except BadToken as error:
        raise NotAllowed(403, str(error)) from error
    except NoCertificates as error:
        raise Misconfigured(str(error)) from error  # not now: it is delivered again


def _check_token(request: flask.Request, token: str) -> None:
    offered = [request.args.get("token", ""), _bearer(request)]
    matches = [hmac.compare_digest(one.encode(), token.encode()) for one in offered]
    if not any(matches):
        raise NotAllowed(403 if any(offered) else 401)


def _bearer(request: flask.Request) -> str:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""
