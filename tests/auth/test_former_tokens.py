"""`manage.py list_former_tokens`: what to mint anew, without the tokens themselves."""

from __future__ import annotations

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
        {"label": 5, "exp": "never"},
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
        "Mint these anew, with POST /api/auth/generate-token:",
        "label  expires_hours",
        "api             8760  was permanent; this is the longest lifetime",
        "old                0  has expired",
    ]


def test_no_token_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listed(monkeypatch).code == 0
    assert listed(monkeypatch, "a.b.c", "x" * 20_000).code == 3
