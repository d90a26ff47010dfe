"""The id of a request: the client's own if it is sane, otherwise a new one."""

from __future__ import annotations

import random
import re

_SANE = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_BITS = 128


def request_id_of(sent: str | None) -> str:
    """Return the id of a request whose ``X-Request-ID`` header is ``sent``."""
    if sent and _SANE.fullmatch(sent):
        return sent
    # Not a secret. Python seeds the generator anew in each fork, so the ids of two processes differ.
    return f"{random.getrandbits(_BITS):032x}"
