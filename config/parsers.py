"""Strict parsers for environment variables: each takes the raw text and returns the value.

A parser raises :class:`ValueError` when the text is invalid. The message never contains the text, because it
may be a secret that was pasted into the wrong variable.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from datetime import date
from types import MappingProxyType
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from apps.core.scheduling.cron import parse_cron
from apps.core.unwanted import unwanted

# The first import of redis in a process. It would load these, if installed, for what we do not use.
with unwanted("cryptography", "opentelemetry"):
    import redis

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?")
_DATABASE_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}")
_HOST = re.compile(r"\.?[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]|\*")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_AUTHORITY = rf"(?P<host>{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[1-9][0-9]{{0,4}}))?"
_SENTRY_DSN = re.compile(
    rf"https?://[A-Za-z0-9]{{1,128}}@{_AUTHORITY}(?:/[A-Za-z0-9._~-]{{1,100}}){{0,5}}/[0-9]{{1,20}}"
)
_HTTP_URL = re.compile(rf"[Hh][Tt][Tt][Pp][Ss]?://{_AUTHORITY}(?:/[A-Za-z0-9/._~%!$&'()*+,;=:@-]*)?")
_ORIGIN = re.compile(rf"(?!.*[A-Z])https?://{_AUTHORITY}")
_REDIS_DATABASE = re.compile(r"/?|/[0-9]{1,5}")
_REDIS_OPTIONS = frozenset({"client_name", "db", "password", "username"})
_PATH = re.compile(r"(?=.{1,100}\Z)[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
_TAKEN_PATHS = frozenset(
    {"api", "health", "i18n", "metrics", "oidc", "ready", "static"}
)  # see config/urls.py
_HEADER_VALUE = re.compile(r"[!-~]+")
_DAY = re.compile(r"2[0-9]{3}-[0-9]{2}-[0-9]{2}")
# A comma inside an address belongs to it.
_BEFORE_SCHEME = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9]*://)")
_SERVICE_URL = re.compile(r"[A-Za-z][A-Za-z0-9]{0,31}://\S+")
_MAX_SERVICE_URLS = 20
_MAX_PORT = 65_535
_MAX_KEY_LENGTH = 4096
_MAX_SECRETS = 5
_SCOPE = re.compile(r"[!#-\[\]-~]{1,200}")  # RFC 6749, 3.3
_MAX_GROUP_LENGTH = 200


def text_of(*, min_length: int = 1, max_length: int = 1024, why: str = "") -> Callable[[str], str]:
    """Text with a length in characters within the bounds; ``$`` is not special.

    ``why`` is the reason for the lower bound, and what to do with a text that is too short.
    """

    def parse(raw: str) -> str:
        if not min_length <= len(raw) <= max_length:
            reason = f": {why}" if why and len(raw) < min_length else ""
            raise ValueError(f"must have {min_length} to {max_length} characters{reason}")
        return raw

    return parse


def secrets_of(*, min_length: int, max_length: int) -> Callable[[str], tuple[str, ...]]:
    """Up to five different secrets separated by commas, each with a length within the bounds."""

    def parse(raw: str) -> tuple[str, ...]:
        values = _split_list(raw)
        if not 0 < len(values) <= _MAX_SECRETS or not all(
            min_length <= len(value) <= max_length for value in values
        ):
            raise ValueError(
                f"must be 1 to {_MAX_SECRETS} values of {min_length} to {max_length} characters, separated "
                "by commas"
            )
        if len(set(values)) < len(values):
            raise ValueError("must not contain a value twice")
        return values

    return parse


def bearer_key(raw: str) -> str:
    """A key that can be sent in an HTTP header: ASCII without white space."""
    if len(raw) > _MAX_KEY_LENGTH or not _HEADER_VALUE.fullmatch(raw):
        raise ValueError(f"must have 1 to {_MAX_KEY_LENGTH} ASCII characters without white space")
    return raw


def one_of(*allowed: str, aliases: Mapping[str, str] = MappingProxyType({})) -> Callable[[str], str]:
    """One of the given words; the case matters. ``aliases`` are other words for some of them."""

    def parse(raw: str) -> str:
        word = aliases.get(raw, raw)
        if word not in allowed:
            raise ValueError(f"must be one of: {', '.join(allowed)}")
        return word

    return parse


def boolean(raw: str) -> bool:
    """One of true/false, yes/no, on/off or 1/0, in any case."""
    word = raw.lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("must be true or false")


def integer(*, minimum: int, maximum: int, why: str = "") -> Callable[[str], int]:
    """A whole number within the bounds; ``why`` is the reason for the upper one, and what to do instead."""

    def parse(raw: str) -> int:
        if not _INTEGER.fullmatch(raw):
            raise ValueError("must be a whole number")
        if not minimum <= (value := int(raw)) <= maximum:
            reason = f": {why}" if why and value > maximum else ""
            raise ValueError(f"must be between {minimum} and {maximum}{reason}")
        return value

    return parse


def number(*, minimum: float, maximum: float) -> Callable[[str], float]:
    """A finite decimal number within the bounds."""

    def parse(raw: str) -> float:
        if not _NUMBER.fullmatch(raw):
            raise ValueError("must be a number such as 2 or 2.5")
        value = float(raw)
        if not math.isfinite(value) or not minimum <= value <= maximum:
            raise ValueError(f"must be between {minimum:g} and {maximum:g}")
        return value

    return parse


def time_of_day(raw: str) -> str:
    """A time of the day such as 00:30, with hours and minutes of two digits."""
    if not _TIME.fullmatch(raw):
        raise ValueError("must be a time from 00:00 to 23:59, such as 00:30")
    return raw


def http_url(raw: str) -> str:
    """An http(s) URL with a host, without query, fragment and credentials; trailing slashes are removed."""
    found = _HTTP_URL.fullmatch(raw)
    if found is None or not _is_host(found["host"]) or not _is_port(found["port"]):
        raise ValueError(
            "must be an http or https URL with a host, in ASCII (xn--... for other letters), without query, "
            "fragment or user name"
        )
    return raw.rstrip("/")


def sentry_dsn(raw: str) -> str:
    """Parse the DSN of a Sentry project: a URL with a key and the number of the project."""
    if not _SENTRY_DSN.fullmatch(raw):
        raise ValueError("must be the DSN of a Sentry project, as its settings show it")
    return raw


def service_urls(raw: str) -> str:
    """Addresses of notification services, separated by spaces or commas; a system check looks into each."""
    addresses = [one for one in _BEFORE_SCHEME.split(raw.strip(" ,")) if one]
    if not 0 < len(addresses) <= _MAX_SERVICE_URLS or not all(map(_SERVICE_URL.fullmatch, addresses)):
        raise ValueError(
            f"must be 1 to {_MAX_SERVICE_URLS} addresses such as slack://..., separated by spaces or commas; "
            "special characters in them must be percent-encoded, such as %20 for a space"
        )
    return " ".join(dict.fromkeys(addresses))


def mongo_uri(raw: str) -> str:
    """A MongoDB connection string; the host of ``mongodb+srv`` is not looked up."""
    scheme, found, rest = raw.partition("://")
    if scheme not in ("mongodb", "mongodb+srv") or not found or not rest.split("/")[0].rpartition("@")[2]:
        raise ValueError("must be a MongoDB URI with a host")
    if re.search(r"\s", raw):
        raise ValueError("must not contain white space")
    if scheme == "mongodb":
        try:
            parse_uri(raw)
        except (ValueError, OSError, PyMongoError) as error:
            raise ValueError(
                "must be a MongoDB URI with known options; special characters in its user name and "
                "password must be percent-encoded, such as %40 for @"
            ) from error
    return raw


def redis_uri(raw: str) -> str:
    """A Redis URL: redis://, rediss:// (TLS) or unix:// with a socket path."""
    parts = _split(raw, schemes=("redis", "rediss", "unix"))
    if parts.scheme != "unix" and not _REDIS_DATABASE.fullmatch(parts.path):
        raise ValueError("must have a database number as its path, or no path")
    # The product sets options such as timeouts and decode_responses itself: the code depends on them.
    names = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if not all(name in _REDIS_OPTIONS or name.startswith("ssl_") for name in names):
        raise ValueError(f"may have only the options {', '.join(sorted(_REDIS_OPTIONS))} and ssl_*")
    try:
        redis.ConnectionPool.from_url(raw).make_connection()
    except (ValueError, TypeError, redis.RedisError) as error:
        raise ValueError("must be a valid Redis URL") from error
    return raw


def database_name(raw: str) -> str:
    """A MongoDB database name made of letters, digits, ``_`` and ``-``."""
    if not _DATABASE_NAME.fullmatch(raw):
        raise ValueError("must have 1 to 63 letters, digits, '_' or '-'")
    return raw


def hosts(raw: str) -> tuple[str, ...]:
    """Host names separated by commas, in the form of Django's ALLOWED_HOSTS."""
    names = _split_list(raw)
    if not names or not all(_HOST.fullmatch(name) for name in names):
        raise ValueError("must be host names separated by commas, without scheme or port")
    return names


def networks(raw: str) -> tuple[str, ...]:
    """IP addresses and networks (``10.0.0.0/24``) separated by commas, but not all addresses."""
    try:
        parsed = [ipaddress.ip_network(item) for item in _split_list(raw)]
    except ValueError as error:
        raise ValueError("must be IP addresses or networks, separated by commas") from error
    if not all(network.prefixlen for network in parsed):
        raise ValueError("must not cover every address")
    return tuple(str(network) if network.num_addresses > 1 else str(network[0]) for network in parsed)


def origins(raw: str) -> tuple[str, ...]:
    """CORS origins separated by commas, in the form that browsers send; ``*`` is refused."""
    values = _split_list(raw)
    if "*" in raw:
        raise ValueError(
            "must name every origin: '*' is refused, because any page that a user opens could then read what "
            "the user may read. List the addresses of your own pages"
        )
    for value in values:
        found = _ORIGIN.fullmatch(value)
        if found is None or not _is_host(found["host"]) or not _is_port(found["port"]):
            raise ValueError(
                "must be http or https origins in lowercase ASCII letters (xn--... for others), with nothing "
                "after host and port"
            )
    return values


def admin_path(raw: str) -> str:
    """The path of the admin below the root, which no other address begins with; it ends with one slash."""
    return f"{_path(raw)}/"


def path_prefix(raw: str) -> str:
    """The path below which another contract lies, with a slash in front and none at its end."""
    return f"/{_path(raw)}"


def scopes(raw: str) -> str:
    """Scopes of OAuth separated by spaces, with ``openid`` among them."""
    words = raw.split()
    if "openid" not in words or not all(map(_SCOPE.fullmatch, words)):
        raise ValueError("must be scopes separated by spaces, one of them openid")
    return " ".join(dict.fromkeys(words))


def group_roles(raw: str) -> tuple[str, ...]:
    """Pairs of a provider's group and a group here, such as ``staff=viewer``, separated by commas.

    The last ``=`` of a pair counts, so a group's name may have one.
    """
    pairs = _split_list(raw)
    for pair in pairs:
        group, _, role = (part.strip() for part in pair.rpartition("="))
        if not (0 < len(group) <= _MAX_GROUP_LENGTH and 0 < len(role) <= _MAX_GROUP_LENGTH):
            raise ValueError(
                "must be pairs such as staff=viewer, separated by commas: a group of the provider, and the "
                "group here that it gives"
            )
    if not pairs:
        raise ValueError("must name at least one group, such as staff=viewer")
    return pairs


def day(raw: str) -> date:
    """A calendar day such as ``2027-03-31``."""
    if not _DAY.fullmatch(raw):
        raise ValueError("must be a day such as 2027-03-31")
    try:
        return date.fromisoformat(raw)
    except ValueError as error:
        raise ValueError("must be a day of the calendar, such as 2027-03-31") from error


def cron(raw: str) -> str:
    """A cron expression, with the same rules as the schedule form of the admin; spaces become single."""
    return parse_cron(raw)


def _path(raw: str) -> str:
    """A path below the root that begins with no other path of the product, without slashes at its ends."""
    path = raw.strip("/")
    if not _PATH.fullmatch(path) or path.partition("/")[0].lower() in _TAKEN_PATHS:
        taken = ", ".join(sorted(_TAKEN_PATHS))
        raise ValueError(
            "must be a path of 1 to 100 letters, digits, '-', '_' and '/', such as ops/ or ops/admin/, which "
            f"begins with none of the others here: {taken}"
        )
    return path


def _split_list(raw: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in raw.split(",") if item.strip())


def _is_host(host: str) -> bool:
    """Whether a host with valid characters is valid: in brackets it must be an IPv6 address."""
    if not host.startswith("["):
        return True
    try:
        ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        return False
    return True


def _is_port(port: str | None) -> bool:
    return port is None or int(port) <= _MAX_PORT


def _split(raw: str, *, schemes: tuple[str, ...]) -> SplitResult:
    wanted = " or ".join(f"{scheme}://" for scheme in schemes)
    try:
        parts = urlsplit(raw)
        port = parts.port
    except ValueError as error:
        raise ValueError("must be a valid URL") from error
    if parts.scheme not in schemes:
        raise ValueError(f"must start with {wanted}")
    if parts.scheme == "unix":
        if not parts.path:
            raise ValueError("must name a socket path")
        return parts
    if not parts.hostname or re.search(r"\s", raw):
        raise ValueError("must be a URL with a host and no white space")
    if port is not None and not 0 < port <= _MAX_PORT:
        raise ValueError("must have a port between 1 and 65535")
    return parts
