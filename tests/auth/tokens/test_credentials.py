"""The text of API tokens and of login tokens."""

from __future__ import annotations

import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from django.conf import settings

from apps.auth.choices import TokenScope
from apps.auth.tokens import credentials
from apps.auth.tokens.credentials import LoginClaims

NOW = datetime.now(UTC).replace(microsecond=0)
CLAIMS = LoginClaims(
    user_id="64b000000000000000000001",
    username="ana",
    scope=TokenScope.ADMIN,
    password_mark="0123456789ab",
    expires_at=NOW + timedelta(hours=1),
)


def signed(key: str | None = None, algorithm: str = "HS256", **changes: Any) -> str:
    payload = jwt.decode(credentials.encode_login(CLAIMS, now=NOW), options={"verify_signature": False})
    payload.update(changes)
    payload = {name: value for name, value in payload.items() if value is not None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        secret = "" if algorithm == "none" else key or settings.JWT_SECRET
        return jwt.encode(payload, secret, algorithm=algorithm)


def test_api_tokens_are_random_recognised_and_stored_as_a_hash() -> None:
    texts = {credentials.new_api_token() for _ in range(100)}
    assert len(texts) == 100
    for text in texts:
        assert text.startswith("mlc_")
        assert credentials.is_api_token(text)
        assert text not in credentials.hash_api_token(text)


@pytest.mark.parametrize(
    "text", ["", "mlc_", "mlc_short", "mlc_" + "a" * 44, "MLC_" + "a" * 43, "mlc_" + "é" * 43]
)
def test_other_texts_are_no_api_tokens(text: str) -> None:
    assert not credentials.is_api_token(text)


def test_a_login_token_carries_its_claims() -> None:
    assert credentials.decode_login(credentials.encode_login(CLAIMS, now=NOW), now=NOW) == CLAIMS


def test_a_login_token_of_an_earlier_release_is_still_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "JWT_SECRET", "the-secret-of-an-earlier-release-0123456789")
    text = (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI2NGIwMDAwMDAwMDAwMDAwMDAwMDAwMDEiLCJ1c2VybmFtZSI6Ilx1"
        "NWI4OVx1NWExYyIsInNjb3BlIjoiYWRtaW4iLCJraW5kIjoibG9naW4iLCJwd2QiOiIwMTIzNDU2Nzg5YWIiLCJqdGkiOiIwMDAw"
        "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMCIsImlhdCI6MTczNTY4OTYwMCwiZXhwIjo0MTAyNDQ0ODAwfQ"
        ".MbMGsg8bOkKMWu5WJQt0l2xcwj0aeEGnmUtXbJVvKcQ"
    )
    expires_at = datetime(2100, 1, 1, tzinfo=UTC)
    assert credentials.decode_login(text, now=NOW) == replace(CLAIMS, username="安娜", expires_at=expires_at)


def test_two_logins_have_different_tokens() -> None:
    assert credentials.encode_login(CLAIMS, now=NOW) != credentials.encode_login(CLAIMS, now=NOW)


def test_a_login_token_holds_no_more_than_it_must() -> None:
    payload = jwt.decode(credentials.encode_login(CLAIMS, now=NOW), options={"verify_signature": False})
    assert set(payload) == {"sub", "username", "scope", "kind", "pwd", "jti", "iat", "exp"}


def test_a_login_token_ends_at_its_second() -> None:
    text = credentials.encode_login(CLAIMS, now=NOW)
    assert credentials.decode_login(text, now=CLAIMS.expires_at - timedelta(seconds=1)) == CLAIMS
    assert credentials.decode_login(text, now=CLAIMS.expires_at) is None


def test_a_token_of_a_host_whose_clock_is_ahead_is_accepted() -> None:
    text = credentials.encode_login(CLAIMS, now=NOW + timedelta(seconds=90))
    assert credentials.decode_login(text, now=NOW) == CLAIMS


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "another-secret-of-at-least-32-characters"},
        {"algorithm": "none"},
        {"algorithm": "HS512"},
        {"kind": "token"},
        {"kind": None},
        {"exp": None},
        {"exp": 10**18},
        {"exp": "soon"},
        {"exp": int((NOW - timedelta(seconds=5)).timestamp())},
        {"sub": None},
        {"sub": 7},
        {"pwd": None},
        {"scope": "root"},
        {"scope": ["admin"]},
        {"username": None},
    ],
)
def test_forged_incomplete_and_expired_login_tokens_are_refused(changes: dict[str, Any]) -> None:
    assert credentials.decode_login(signed(**changes), now=NOW) is None


@pytest.mark.parametrize(
    "text", ["", "a.b.c", "....", "e30.e30.", "e30.e30.e30", "a" * 4000, "é.é.é", "null.null.null"]
)
def test_garbage_is_refused(text: str) -> None:
    assert credentials.decode_login(text, now=NOW) is None


def test_a_changed_character_is_noticed() -> None:
    head, body, signature = credentials.encode_login(CLAIMS, now=NOW).split(".")
    forged = jwt.utils.base64url_encode(jwt.utils.base64url_decode(body).replace(b'"ana"', b'"bob"')).decode()
    assert forged != body
    assert credentials.decode_login(f"{head}.{forged}.{signature}", now=NOW) is None
