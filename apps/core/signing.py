"""The HMAC-SHA256 signature of HTTP bodies, sent in the header ``X-Signature-256``."""

from __future__ import annotations

import hashlib
import hmac

SIGNATURE_HEADER = "X-Signature-256"


def sign(body: bytes, secret: str) -> str:
    """Return the header value for the raw body."""
    return f"sha256={digest(body, secret).hex()}"


def digest(body: bytes, secret: str) -> bytes:
    """Return the HMAC of the raw body."""
    # surrogatepass: a secret that is not valid UTF-8 contains surrogates, and must not raise an error here.
    return hmac.new(secret.encode("utf-8", "surrogatepass"), body, hashlib.sha256).digest()
