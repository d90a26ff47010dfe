"""How a message shows who sent it: the signature of webhook bodies, and the header of the simulator.

The signature is an HMAC-SHA256 in the header ``X-Signature-256``.
"""

from __future__ import annotations

import hmac
import re

from apps.core.signing import digest, sign

__all__ = ["SIMULATOR_HEADER", "is_valid", "sign"]

# On every response and webhook of the simulator: production refuses its made-up figures.
SIMULATOR_HEADER = "X-MengLa-Simulator"
# Exactly the characters hex has: bytes.fromhex would also take white space.
_HEADER = re.compile(r"sha256=([0-9a-fA-F]{64})")


def is_valid(body: bytes, header: object, secret: str) -> bool:
    """Tell whether the header signs the raw body; never raises, whatever the header holds.

    Without a secret nothing is valid: anybody can sign with the empty one.
    """
    match = _HEADER.fullmatch(header) if isinstance(header, str) else None
    if match is None or not secret:
        return False
    return hmac.compare_digest(digest(body, secret), bytes.fromhex(match[1]))
