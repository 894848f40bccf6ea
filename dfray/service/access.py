"""Access of clients: a bearer token (RFC 6750), compared in constant time."""

from __future__ import annotations

import hmac

from dfray.service.refusal import Refusal

_SCHEME = "bearer "


def is_known(header: str | None, token: str | None) -> bool:
    """Return True if the Authorization header shows the token, or none is asked for."""
    if token is None:
        return True
    if not header or not header.lower().startswith(_SCHEME):
        return False
    shown = header[len(_SCHEME) :].strip()
    return hmac.compare_digest(shown.encode(), token.encode())


def require_known(header: str | None, token: str | None) -> None:
    """Check that a client shows the token.

    Raises:
        Refusal: it does not: 401.
    """
    if not is_known(header, token):
        reason = "The token is wrong." if header else "The service asks for a token."
        raise Refusal(
            401,
            f"{reason} Send the header `Authorization: Bearer TOKEN`.",
            {"WWW-Authenticate": "Bearer"},
        )
