"""Declares the environment variables of the former contract, for :class:`config.variables.Environment`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from config import parsers
from config.variables.declaration import variable


@dataclass(frozen=True)
class CompatVariables:
    """Whether, where and for how long the clients of the former program are served as it served them."""

    COMPAT_API: bool = variable(
        parsers.boolean,
        default=False,
        help="Serve the addresses of the former program below COMPAT_PREFIX, for its clients.",
    )
    COMPAT_PREFIX: str = variable(
        parsers.path_prefix,
        default="/compat",
        help="Path below which the former program's /api lies: with /compat, it is /compat/api.",
    )
    COMPAT_WAIT_SECONDS: float = variable(
        parsers.number(minimum=0, maximum=30),
        default=25.0,
        help="How long a request of a former client waits for figures that are not stored, in seconds.",
    )
    COMPAT_TOKENS_UNTIL: date | None = variable(  # noqa: RUF009 - it declares a field, as all here do
        parsers.day,
        example="2027-03-31",
        help=(
            "Last day (Asia/Shanghai) on which permanent tokens of the former program are accepted, for "
            "reading below COMPAT_PREFIX only. Unset: they are refused."
        ),
    )
