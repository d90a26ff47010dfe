"""Variables of the addresses at which people open the pages."""

from __future__ import annotations

from dataclasses import dataclass

from config import parsers
from config.variables.declaration import variable as _variable

YEAR_SECONDS = 31_536_000


@dataclass(frozen=True)
class WebVariables:
    """How browsers reach the pages."""

    HTTPS_ONLY: bool | None = _variable(
        parsers.boolean,
        example="true",
        help=(
            "Whether browsers use the pages by https only: Secure cookies, a redirect from http, HSTS. "
            "Unset: true in production, and elsewhere if APP_BASEURL is https."
        ),
    )
    HSTS_SECONDS: int = _variable(
        parsers.integer(minimum=0, maximum=2 * YEAR_SECONDS),
        default=YEAR_SECONDS,
        help="How long a browser that has opened a page uses https only for this host, in seconds; 0: not.",
    )
    HSTS_SUBDOMAINS: bool = _variable(
        parsers.boolean,
        default=False,
        help="Whether this also holds for all subdomains of the host.",
    )
    HSTS_PRELOAD: bool = _variable(
        parsers.boolean,
        default=False,
        help="Whether browsers may ship with this rule; needs HSTS_SUBDOMAINS and a year.",
    )
