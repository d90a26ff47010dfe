"""Each parser takes exactly what it should, and its message never repeats what it was given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import parsers

Parser = Callable[[str], Any]

one_to_ten = parsers.integer(minimum=1, maximum=10)
tenth_to_ten = parsers.number(minimum=0.1, maximum=10)
short_text = parsers.text_of(min_length=2, max_length=5)
colour = parsers.one_of("red", "Blue")

ACCEPTED: list[tuple[Parser, str, Any]] = [
    *[(parsers.boolean, text, True) for text in ("true", "TRUE", "yes", "On", "1")],
    *[(parsers.boolean, text, False) for text in ("false", "False", "no", "off", "0")],
    (one_to_ten, "1", 1),
    (one_to_ten, "10", 10),
    (one_to_ten, "+7", 7),
    (one_to_ten, "007", 7),
    (tenth_to_ten, "0.1", 0.1),
    (tenth_to_ten, "10", 10.0),
    (tenth_to_ten, "+2.50", 2.5),
    (short_text, "ab", "ab"),
    (short_text, "$HOME", "$HOME"),
    (short_text, "采集器", "采集器"),
    (colour, "Blue", "Blue"),
    (parsers.bearer_key, "sk-123/=+$", "sk-123/=+$"),
    (parsers.http_url, "http://collector", "http://collector"),
    (parsers.sentry_dsn, "https://0a1b@sentry.example.com/42", "https://0a1b@sentry.example.com/42"),
    (parsers.sentry_dsn, "http://0a1b@[::1]:9000/below/1", "http://0a1b@[::1]:9000/below/1"),
    (parsers.http_url, "https://c.example.com:8443/base/", "https://c.example.com:8443/base"),
    (parsers.http_url, "http://[::1]:8000/", "http://[::1]:8000"),
    (parsers.http_url, "HTTP://host", "HTTP://host"),
    *[
        (parsers.mongo_uri, uri, uri)
        for uri in (
            "mongodb://127.0.0.1:27017/?replicaSet=rs0",
            "mongodb://a,b:27018,c/?replicaSet=rs0&tls=true&authSource=admin",
            "mongodb://user:p%40ss@host/db",
            "mongodb+srv://user:pass@cluster.example.net/?retryWrites=true",
        )
    ],
    *[
        (parsers.redis_uri, uri, uri)
        for uri in (
            "redis://127.0.0.1:6379",
            "redis://127.0.0.1:6379/",
            "redis://user:p%40ss@host:6379/15",
            "rediss://host/0?ssl_cert_reqs=none",
            "unix:///run/redis.sock?db=2",
        )
    ],
    (parsers.database_name, "industry_monitor-2", "industry_monitor-2"),
    (parsers.database_name, "a" * 63, "a" * 63),
    (parsers.hosts, "a.example.com, .example.org ,[::1],127.0.0.1", None),
    (parsers.origins, "https://a.example.com, http://localhost:5173", None),
    (parsers.origins, "http://[::1]:5173,http://10.0.0.1", ("http://[::1]:5173", "http://10.0.0.1")),
    (parsers.origins, "https://xn--mnchen-3ya.de,http://web_1:3000", None),
    (parsers.origins, "https://a.example.com", ("https://a.example.com",)),
    (parsers.networks, "127.0.0.1, 10.0.0.0/24,::1", ("127.0.0.1", "10.0.0.0/24", "::1")),
    (parsers.networks, "fd00::/8", ("fd00::/8",)),
    (parsers.cron, "*/5  2 * * 1-5", "*/5 2 * * 1-5"),
    (parsers.cron, "0 3 2 1,4,7,10 *", "0 3 2 1,4,7,10 *"),
]

REFUSED: list[tuple[Parser, str]] = [
    *[(parsers.boolean, text) for text in ("", "maybe", "2", "t", "y", "truee", "true false", "真")],
    *[
        (one_to_ten, text)
        for text in (
            "",
            "0",
            "11",
            "-1",
            "5.0",
            "1e1",
            "0x5",
            "5s",
            "five",
            "1_0",
            "５",
            "1" * 40,
            "nan",
            " ",
        )
    ],
    *[
        (tenth_to_ten, text)
        for text in ("", "0.09", "10.01", "-1", "1,5", "1e0", "inf", "nan", ".5", "5.", "2s", "２", "9" * 40)
    ],
    *[(short_text, text) for text in ("", "a", "abcdef")],
    *[(colour, text) for text in ("", "RED", "blue", "green", "red,Blue")],
    *[(parsers.bearer_key, text) for text in ("", "two words", "ключ", "tab\there", "x" * 4097)],
    *[
        (parsers.sentry_dsn, text)
        for text in (
            "sentry",
            "https://sentry.example.com/1",
            "https://0a1b:secret@sentry.example.com/1",
            "https://0a1b@/1",
            "https://0a1b@sentry.example.com",
            "https://0a1b@sentry.example.com/one",
            "https://0a1b@sentry.example.com/1?x=1",
            "ftp://0a1b@sentry.example.com/1",
        )
    ],
    *[
        (parsers.http_url, text)
        for text in (
            "collector",
            "//collector",
            "ftp://collector",
            "http://",
            "http:///path",
            "http://?x",
            "http://user@host",
            "http://user:pw@host",
            "http://host?x=1",
            "http://host#x",
            "http://host:0",
            "http://host:65536",
            "http://host:port",
            "http://[::1",
            "http://ho st",
            "javascript:alert(1)",
            "http://host?",
            "http://host#",
            "http://host:",
            "http://h\\x",
            "http://a,b",
            "http://$host",
            "http://-a",
            "http://a..b",
            "http://[::g]",
            "http://[1.2.3.4]",
            "http://münchen.de",
            "http://host/pfad/ü",
            "http://host/a\\b",
            "http://host\n",
        )
    ],
    *[
        (parsers.mongo_uri, text)
        for text in (
            "127.0.0.1:27017",
            "http://127.0.0.1:27017",
            "mongodb:",
            "mongodb://",
            "mongodb:///db",
            "mongodb://user:pass@/db",
            "mongodb://user:p@ss@host/",
            "mongodb://host:port/",
            "mongodb://host:99999/",
            "mongodb://host,/",
            "mongodb://host/?notAnOption=1",
            "mongodb://host/?serverSelectionTimeoutMS=soon",
            "mongodb://host/?tls=perhaps",
            "mongodb://host/?tlsCAFile=/does/not/exist",
            "mongodb://ho st/",
            "mongodb+srv://",
        )
    ],
    *[
        (parsers.redis_uri, text)
        for text in (
            "127.0.0.1:6379",
            "http://127.0.0.1",
            "redis://",
            "redis:///0",
            "redis://host/zero",
            "redis://host/-1",
            "redis://host/0/1",
            "redis://host/３",
            "redis://host:0/0",
            "redis://host:99999/0",
            "redis://host/0?decode_responses=true",
            "redis://host/0?socket_timeout=60",
            "redis://host/0?db=one",
            "rediss://host/0?ssl_cert_reqs=perhaps",
            "redis://host/0?ssl_cert_reqs=none",
            "redis://ho st/0",
            "unix://",
        )
    ],
    *[(parsers.database_name, text) for text in ("", "a b", "a.b", "a/b", "$db", "a" * 64, "数据")],
    *[
        (parsers.hosts, text)
        for text in (
            "",
            ",",
            "http://a.example.com",
            "a.example.com:8000",
            "a b",
            "-a",
            "a/b",
            "*.example.com",
        )
    ],
    *[
        (parsers.origins, text)
        for text in (
            "*",
            "https://*.example.com",
            "https://a.example.com,*",
            "a.example.com",
            "null",
            "https://a.example.com/",
            "https://a.example.com/app",
            "https://a.example.com?x",
            "https://user@a.example.com",
            "ftp://a.example.com",
            "https://",
            "https://a.example.com:0",
            "https://a example.com",
            "https://a.example.com?",
            "https://a.example.com#",
            "https://a.example.com:",
            "https://a.example.com:65536",
            "https://a.example.com:080",
            "https://$a.example.com",
            "https://a.example.com\\evil",
            "https://a.example.com/evil",
            "https://münchen.de",
            "https://A.example.com",
            "HTTPS://a.example.com",
            "https://a..example.com",
            "https://-a.example.com",
            "https://[::g]",
            "https://@a.example.com",
        )
    ],
    *[
        (parsers.networks, text)
        for text in (
            "localhost",
            "*",
            "0.0.0.0/0",
            "::/0",
            "10.0.0.1/24",
            "10.0.0.0/33",
            "10.0.0.256",
            "10.0.0.1:80",
            "127.0.0.1 ::1",
            "127.1",
            "[::1]",
        )
    ],
    *[
        (parsers.cron, text)
        for text in (
            "",
            "hourly",
            "@daily",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 32 * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * MONDAYS",
            "a b c d e",
            "*/0 * * * *",
        )
    ],
]

PARSERS: list[Parser] = [
    parsers.boolean,
    one_to_ten,
    tenth_to_ten,
    short_text,
    colour,
    parsers.bearer_key,
    parsers.http_url,
    parsers.sentry_dsn,
    parsers.mongo_uri,
    parsers.redis_uri,
    parsers.database_name,
    parsers.hosts,
    parsers.origins,
    parsers.networks,
    parsers.cron,
]


@pytest.mark.parametrize(("parse", "text", "value"), ACCEPTED)
def test_a_good_value_is_taken(parse: Parser, text: str, value: Any) -> None:
    parsed = parse(text)
    if value is not None:
        assert parsed == value
        assert type(parsed) is type(value)


@pytest.mark.parametrize(("parse", "text"), REFUSED)
def test_a_bad_value_is_refused(parse: Parser, text: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|may) ") as caught:
        parse(text)
    if len(text) > 3:
        assert text not in str(caught.value)


def test_lists_are_split_and_trimmed() -> None:
    assert parsers.hosts("a.example.com, .example.org ,") == ("a.example.com", ".example.org")
    assert parsers.origins(" https://a.example.com ,http://b:80") == ("https://a.example.com", "http://b:80")


@given(text=st.text(min_size=4, max_size=60), parse=st.sampled_from(PARSERS))
def test_no_text_makes_a_parser_do_anything_but_accept_or_refuse(text: str, parse: Parser) -> None:
    try:
        parse(text)
    except ValueError as error:
        assert str(error).startswith(("must ", "may "))


@given(
    rest=st.text(max_size=40), scheme=st.sampled_from(["mongodb", "redis", "rediss", "unix", "http", "https"])
)
def test_no_text_after_a_scheme_makes_a_parser_do_anything_else(rest: str, scheme: str) -> None:
    for parse in (parsers.mongo_uri, parsers.redis_uri, parsers.http_url, parsers.origins):
        try:
            parse(f"{scheme}://{rest}")
        except ValueError as error:
            assert str(error).startswith(("must ", "may "))
