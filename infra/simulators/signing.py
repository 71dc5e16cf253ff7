"""X-Twilio-Signature, written here a second time on purpose: a simulator that used the product's own code, or the
library the product uses, could not catch the product being wrong about it.

Signed string: the whole URL as Twilio requests it (scheme, host, path, query), then for a form POST every `name` +
`value`, names sorted, no separators, blank values included. HMAC-SHA1 with the account's auth token, base64. The
WebSocket upgrade is signed over the `wss://` (here also `ws://`) URL with no parameters.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

HEADER = "X-Twilio-Signature"


def sign(auth_token: str, url: str, form: Mapping[str, str] | None = None) -> str:
    """The header's value for this request."""
    text = url + "".join(name + form[name] for name in sorted(form)) if form else url
    digest = hmac.new(auth_token.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode("ascii")
