"""`manage.py list_former_tokens`: which tokens to create again, without the tokens themselves."""

from __future__ import annotations

import base64
import io
import time

import jwt
import pytest

from tests.mengla.commands.support import Ended, run

SECRET = "a short secret"


def listed(monkeypatch: pytest.MonkeyPatch, *lines: str, options: tuple[str, ...] = ()) -> Ended:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    return run("list_former_tokens", *options)


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_labels_and_lifetimes_are_listed_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    claims = [
        {"label": "api-30d", "exp": int(now) + 720 * 3600 - 60},
        {"label": "api-10y", "exp": int(now) + 87600 * 3600},
        {"label": "永久\x1b", "sub": "admin"},
        {"sub": "admin", "exp": int(now) - 60},
        {"label": 5},
    ]
    tokens = [jwt.encode(one, SECRET) for one in claims]
    ended = listed(monkeypatch, *tokens, "", "not a token", f"Bearer {tokens[0]}", options=("--json",))
    assert ended.code == 3
    assert ended.result["unreadable_lines"] == [7]
    assert [(one["label"], one["expires_hours"]) for one in ended.result["tokens"]] == [
        *(("api-30d", 720), ("api-10y", 8760), ("永久\\x1b", 8760), ("admin", 0), ("", 8760)),
        ("api-30d", 720),
    ]
    assert [one["was_permanent"] for one in ended.result["tokens"]] == [
        False,
        False,
        True,
        False,
        True,
        False,
    ]
    assert not any(token in ended.out + ended.err for token in tokens)


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_the_list_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = [jwt.encode({"label": "api"}, SECRET), jwt.encode({"label": "old", "exp": 1}, SECRET)]
    ended = listed(monkeypatch, *tokens)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "Create these tokens again with POST /api/auth/generate-token:",
        "label  expires_hours",
        "api             8760  was permanent; this is the longest lifetime",
        "old                0  has expired",
    ]


def test_no_token_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listed(monkeypatch).code == 0
    assert listed(monkeypatch, "a.b.c", "x" * 20_000).code == 3


def _token(payload: str) -> str:
    """A token whose payload is exactly this text."""
    parts = ('{"alg":"HS256","typ":"JWT"}', payload, "signature")
    return ".".join(base64.urlsafe_b64encode(one.encode()).decode().rstrip("=") for one in parts)


GOOD = _token('{"label": "api"}').encode()


@pytest.mark.parametrize(
    "line",
    [
        *(
            _token(f'{{"label": "x", "exp": {expiry}}}').encode()
            for expiry in (
                *("NaN", "Infinity", "-Infinity", "1e400", "9" * 400, "-" + "9" * 400, "9" * 5000),
                *('"1800000000"', '"never"', '""', "true", "[]", "{}"),
            )
        ),
        *(_token(payload).encode() for payload in ("[]", "null", "{", "[" * 5000)),
        b"\xff\xfe\x00 not UTF-8",
        GOOD[:10] + b"\xe4" + GOOD[10:],
        b"x" * 8193,
        b"x" * 40_000,
        b"Bearer ",
    ],
    ids=lambda line: line[-12:].decode(errors="replace"),
)
def test_a_bad_line_is_told_by_its_number_and_the_others_are_listed(
    monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    content = io.BytesIO(b"\n".join([GOOD, line, GOOD, b"", line]))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(content, encoding="utf-8", errors="strict"))
    ended = run("list_former_tokens", "--json")
    assert (ended.code, ended.err) == (3, "")
    assert [one["label"] for one in ended.result["tokens"]] == ["api", "api"]
    assert ended.result["unreadable_lines"] == [2, 5]


@pytest.mark.parametrize(
    ("expiry", "hours", "was_permanent"),
    [("null", 8760, True), ("0", 0, False), ("-1e300", 0, False), ("1e300", 8760, False)],
)
def test_expiries_of_every_size(
    monkeypatch: pytest.MonkeyPatch, expiry: str, hours: int, was_permanent: bool
) -> None:
    ended = listed(monkeypatch, _token(f'{{"exp": {expiry}}}'), options=("--json",))
    [token] = ended.result["tokens"]
    assert (ended.code, token["expires_hours"], token["was_permanent"]) == (0, hours, was_permanent)


def test_more_lines_than_are_read_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [GOOD.decode(), *[""] * 9_998, GOOD.decode()]
    ended = listed(monkeypatch, *lines, options=("--json",))
    assert (ended.code, len(ended.result["tokens"]), ended.result["is_complete"]) == (0, 2, True)
    ended = listed(monkeypatch, *lines, GOOD.decode())
    assert (ended.code, ended.out.splitlines()[-1]) == (3, "Only the first 10000 lines were read.")
