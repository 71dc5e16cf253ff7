"""Who may push to the applier.

Where `CALLBOARD_PUSH_TOKEN` is set (`dev` makes one up at every start), a push carries it: as `Authorization: Bearer
...`, which is what the embedded dispatcher sends, or as `?token=...` in the push endpoint, which is all that a push
subscription of Pub/Sub without OIDC can carry.

On Cloud Run the function is deployed so that only the subscription's service account may invoke it (IAM); Google's
front end checks the OIDC token of the push there. The token is not checked a second time here yet.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import flask


class NotAllowed(Exception):
    """The push does not come from our bus. `status` is 401 without a token, 403 with a wrong one."""

    def __init__(self, status: int) -> None:
        super().__init__("the push has no token" if status == 401 else "the token of the push is wrong")
        self.status = status


def check(request: flask.Request, token: str) -> None:
    """Raises NotAllowed. Without a `token` of our own there is nothing to check."""
    if not token:
        return
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    offered = [request.args.get("token", "")]
    if scheme.lower() == "bearer":
        offered.append(given.strip())
    matches = [hmac.compare_digest(one.encode(), token.encode()) for one in offered]
    if not any(matches):
        raise NotAllowed(403 if any(offered) else 401)
