"""Finds the code of the pages in docs/."""

from __future__ import annotations

import re

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code_blocks(text: str) -> list[tuple[str, str]]:
    """Return language and code of every block of a page, in their order; an unnamed language is empty."""
    return _FENCE.findall(text)
