"""Who may talk to the server: this machine alone, or whoever has the token; pages only of its own origin."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from insula.errors import InputError

COOKIE = "insula_token"


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Access:
    """Decide on requests by their headers.

    Parameters
    ----------
    host : address that the server listens on. Anything but loopback needs a token.
    token : secret that clients show in the query, in a header or in a cookie; "" for none.
    """

    def __init__(self, host: str, token: str) -> None:
        if not is_loopback(host) and len(token) < 16:
            raise InputError(
                f"host {host} with a token of {len(token)} characters; expected 16 or more, since others can reach it. "
                "Give --token, or leave --host at 127.0.0.1."
            )
        self.local = is_loopback(host)
        self.token = token

    def refuses(
        self, headers: Mapping[str, str], query: Mapping[str, str], cookies: Mapping[str, str], changes: bool
    ) -> str | None:
        """Say why a request is refused, or None; ``changes`` (a socket, a POST) has its origin checked."""
        host = headers.get("host", "")
        if self.local and not is_loopback(_name(host)):
            return "host name"  # a page elsewhere whose name was pointed at this machine
        origin = headers.get("origin")
        if changes and origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return "origin"
        if self.token:
            shown = (
                query.get("token") or cookies.get(COOKIE) or headers.get("authorization", "").removeprefix("Bearer ")
            )
            if not hmac.compare_digest(shown.encode(), self.token.encode()):
                return "token"
        return None


def _name(host: str) -> str:
    """Host without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
