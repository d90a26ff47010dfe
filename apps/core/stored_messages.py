"""Sentences stored in English, with their names and numbers, and shown in the language of the reader."""

from __future__ import annotations

import re

from django.utils.translation import gettext

_PLACE = re.compile(r"%\((\w+)\)[.\d]*[dfs]")


class Sentences:
    """The sentences an app stores; each is marked for translation where it is written down."""

    def __init__(self, *sentences: str) -> None:
        self._patterns = {one: _pattern_of(one) for one in sentences}

    def shown(self, stored: str) -> str:
        """Return a stored sentence in the reader's language; any other text as it is."""
        for sentence, pattern in self._patterns.items():
            if found := pattern.fullmatch(stored):
                return _PLACE.sub(r"%(\1)s", gettext(sentence)) % found.groupdict()
        return stored


def _pattern_of(sentence: str) -> re.Pattern[str]:
    words = _PLACE.split(sentence)  # in turns what stands between the places, and their names
    parts = [re.escape(one) if index % 2 == 0 else f"(?P<{one}>.+)" for index, one in enumerate(words)]
    return re.compile("".join(parts), re.DOTALL)
