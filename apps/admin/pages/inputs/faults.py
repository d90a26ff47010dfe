"""Which field of a form a fault belongs to: parameters of the API have other names on the pages."""

from __future__ import annotations

from collections.abc import Mapping

from apps.admin.pages.access import in_words
from apps.core.errors import DomainError

_NAMES = {
    "timest": "period",
    "starRange": "from",
    "endRange": "to",
    "dateType": "granularity",
    "catId": "category",
    "primaryCatId": "category",
}


def faults_of(error: DomainError | None) -> dict[str, list[str]]:
    """Return the messages of an error by the names of the fields on the page; an empty dict for none."""
    found: dict[str, list[str]] = {}
    for name, messages in ((error.fields if error else None) or {}).items():
        found.setdefault(_NAMES.get(name, name), []).extend(map(in_words, messages))
    return found


def texts_of(faults: Mapping[str, list[str]], *names: str) -> dict[str, str]:
    """Return the text that a template shows below each of these fields, without those that are right."""
    return {name: " ".join(faults[name]) for name in names if faults.get(name)}
