"""Schemas of periods and days, exact to the calendar of the years 2000 to 2099.

The patterns use what JSON Schema and Python read alike, and no lookaround, which generators of data refuse.
"""

from __future__ import annotations

from typing import Any

from apps.core.api.openapi.components import NamedSchema
from apps.core.periods import Granularity

_YEAR = "20[0-9]{2}"
_LEAP_YEAR = "20([02468][048]|[13579][26])"
_COMMON_YEAR = "20([02468][1-35-79]|[13579][013-57-9])"
_MONTH = "(0[1-9]|1[0-2])"
_LONG_MONTH, _SHORT_MONTH = "(0[13578]|1[02])", "(0[469]|11)"


def _both_forms(*parts: str) -> str:
    """Return alternatives with ``-`` for each space, and the same without."""
    return "|".join(part.replace(" ", dash) for dash in ("-", "") for part in parts)


_FORMS = {
    Granularity.DAY: _both_forms(
        f"{_YEAR} {_LONG_MONTH} (0[1-9]|[12][0-9]|3[01])",
        f"{_YEAR} {_SHORT_MONTH} (0[1-9]|[12][0-9]|30)",
        f"{_YEAR} 02 (0[1-9]|1[0-9]|2[0-8])",
        f"{_LEAP_YEAR} 02 29",
    ),
    Granularity.MONTH: f"{_YEAR}-?{_MONTH}",
    Granularity.QUARTER: f"{_YEAR}-?[Qq][1-4]",
    Granularity.YEAR: _YEAR,
}
_FIRST_DAYS = {
    Granularity.MONTH: _both_forms(f"{_YEAR} {_MONTH} 01"),
    Granularity.QUARTER: _both_forms(f"{_YEAR} (01|04|07|10) 01"),
    Granularity.YEAR: _both_forms(f"{_YEAR} 01 01"),
}
_LAST_DAYS = {
    Granularity.MONTH: _both_forms(
        f"{_YEAR} {_LONG_MONTH} 31",
        f"{_YEAR} {_SHORT_MONTH} 30",
        f"{_COMMON_YEAR} 02 28",
        f"{_LEAP_YEAR} 02 29",
    ),
    Granularity.QUARTER: _both_forms(f"{_YEAR} (03 31|06 30|09 30|12 31)"),
    Granularity.YEAR: _both_forms(f"{_YEAR} 12 31"),
}


def _pattern(*forms: str) -> str:
    return f"^({'|'.join(forms)})$"


PERIOD = NamedSchema(
    "Period",
    {
        "type": "string",
        "pattern": _pattern(*_FORMS.values()),
        "description": (
            "A period: a day 20250601 or 2025-06-01, a month 202506 or 2025-06, a quarter 2025Q2 or 2025-Q2, "
            "a year 2025. Responses have the form without dashes."
        ),
        "example": "2025-06",
    },
)
PERIOD_OR_NUMBER = NamedSchema(
    "PeriodOrNumber",
    {
        "anyOf": [
            {"type": "string", "pattern": PERIOD.schema["pattern"]},
            {"type": "integer", "minimum": 2000, "maximum": 2099},
            {"type": "integer", "minimum": 200001, "maximum": 209912},
            {"type": "integer", "minimum": 20000101, "maximum": 20991231},
        ],
        "description": f"{PERIOD.schema['description']} A form of digits only may be a number.",
        "example": "2025-06",
    },
)
DAY = NamedSchema(
    "Day",
    {
        "type": "string",
        "pattern": _pattern(_FORMS[Granularity.DAY]),
        "description": "A day of the years 2000 to 2099: 2025-06-01 or 20250601.",
        "example": "2025-06-01",
    },
)


def form_of(granularity: Granularity) -> NamedSchema:
    """Return the schema of the texts that are a period of this granularity."""
    return _part(granularity, "Form", _FORMS[granularity], "in its own form")


def start_of(granularity: Granularity) -> NamedSchema:
    """Return the schema of the texts that may start a range of this granularity."""
    days = [_FIRST_DAYS[granularity]] if granularity in _FIRST_DAYS else []
    return _part(granularity, "Start", "|".join([_FORMS[granularity], *days]), "or its first day")


def end_of(granularity: Granularity) -> NamedSchema:
    """Return the schema of the texts that may end a range of this granularity."""
    days = [_LAST_DAYS[granularity]] if granularity in _LAST_DAYS else []
    return _part(granularity, "End", "|".join([_FORMS[granularity], *days]), "or its last day")


def _part(granularity: Granularity, name: str, forms: str, meaning: str) -> NamedSchema:
    # Without a type: it says nothing of null and of numbers. Empty counts as absent, where that is allowed.
    schema: dict[str, Any] = {"pattern": f"^({forms})?$", "description": f"A {granularity.value}, {meaning}."}
    return NamedSchema(f"{granularity.value.capitalize()}{name}", schema)
