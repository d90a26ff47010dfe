"""Shows who sent a message: the signature of webhook bodies, and the header of the simulator.

The signature is an HMAC-SHA256 in the header ``X-Signature-256``.
"""

from __future__ import annotations

import hmac
import re

from apps.core.signing import digest, sign

__all__ = ["SIMULATOR_HEADER", "is_valid", "sign"]

# The simulator sends it with every response and webhook. Production refuses its made-up figures.
SIMULATOR_HEADER = "X-MengLa-Simulator"
# Hexadecimal digits only: bytes.fromhex would also accept white space.
_HEADER = re.compile(r"sha256=([0-9a-fA-F]{64})")


def is_valid(body: bytes, header: object, *secrets: str) -> bool:
    """Return whether the header is a signature of the raw body with one of the secrets; never raises.

    Without a secret no signature is valid: anyone can sign with an empty one.
    """
    match = _HEADER.fullmatch(header) if isinstance(header, str) else None
    if match is None:
        return False
    given = bytes.fromhex(match[1])
    return any(hmac.compare_digest(digest(body, secret), given) for secret in secrets if secret)
