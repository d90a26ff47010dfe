"""How a file is named when it is downloaded."""

from __future__ import annotations

import re
from urllib.parse import quote

from apps.core.printable import has_unprintable

_MAX_NAME = 120
# Windows allows none of these in the name of a file.
_NOT_IN_NAME = re.compile(r'[\\/:*?"<>|\x00-\x1f]')


def attachment(name: str, *, ending: str, readers_name: str = "") -> str:
    """Return the Content-Disposition of a file with its plain name and the one in the reader's language.

    ``name`` is ASCII, for programs. ``readers_name`` may be any text; browsers prefer it (RFC 6266).
    """
    plain = f'attachment; filename="{_safe(name)}.{ending}"'
    own = _safe(readers_name)
    return f"{plain}; filename*=UTF-8''{quote(f'{own}.{ending}', safe='')}" if own else plain


def _safe(name: str) -> str:
    kept = _NOT_IN_NAME.sub(" ", name)
    kept = "".join(one for one in kept if not has_unprintable(one))
    return " ".join(kept.split())[:_MAX_NAME].strip(". ")
