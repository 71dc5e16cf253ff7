"""Names of hosts: what a Host header may look like, and which names are this machine. No name is resolved."""

from __future__ import annotations

import ipaddress
import re

_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII)


def hostname(host: str) -> str:
    """The host of a Host header, lower case, without port and brackets; "" if there is none or it is malformed. What
    is not malformed holds no character that means something in a header or a page."""
    match = _HOST.fullmatch(host)
    return match["name"].strip("[]").lower() if match else ""


def loopback(host: str) -> bool:
    """True for localhost and loopback addresses."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
