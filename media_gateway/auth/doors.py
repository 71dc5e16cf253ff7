"""Where a request may come from: the Host it names, the Origin of the page that sent it, and what forwarded it.

The Host check keeps a web page of another site, whose name was pointed at this machine, from talking to it. In `dev`
it also tells a laptop by itself from a laptop behind a tunnel: there the secrets must be real.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from media_gateway.hosts import hostname, loopback

__all__ = ["REAL_SECRETS", "Doors", "hostname", "loopback"]

_FORWARDING = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-original-host",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
)
REAL_SECRETS = ("TWILIO_AUTH_TOKEN", "JWT_SECRET", "ADMIN_USERNAME", "ADMIN_PASSWORD")


@dataclass(frozen=True, slots=True)
class Doors:
    """`public_host` is the host of PUBLIC_BASE_URL. On Cloud Run every `*.run.app` name of the service is its own
    (revision tags have theirs)."""

    public_host: str
    dev: bool = False
    generated: frozenset[str] = frozenset()
    on_cloud_run: bool = False

    def refusal(self, headers: Mapping[str, str]) -> tuple[str, str, str] | None:
        """(code, message, fix) if this request may not come in at all. `headers` by lower-case name."""
        host = hostname(headers.get("host", ""))
        known = loopback(host) or host == self.public_host or (self.on_cloud_run and host.endswith(".run.app"))
        if not known:
            return ("host_not_allowed", "This host name is not served here.", "Set PUBLIC_BASE_URL to this address.")
        made_up = self.generated.intersection(REAL_SECRETS)
        if self.dev and made_up and not self.local(headers):
            names = ", ".join(sorted(made_up))
            return (
                "real_secrets_needed",
                "From outside this machine, Callboard answers only with real secrets.",
                f"Set {names} and start again.",
            )
        return None

    def local(self, headers: Mapping[str, str]) -> bool:
        """True if the request names this machine and nobody says to have forwarded it."""
        return loopback(hostname(headers.get("host", ""))) and not any(name in headers for name in _FORWARDING)

    def same_origin(self, headers: Mapping[str, str]) -> bool:
        """True if no browser page of another site sent this. A request without Origin is no page's."""
        origin = headers.get("origin")
        if origin is None:
            return True
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            return False
        return parts.netloc.lower() == headers.get("host", "").lower() or (
            parts.hostname == self.public_host and not loopback(self.public_host)
        )
