"""Hostile input to the addresses of this app; none of it may reach a database, which these tests refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.auth.conftest import Api, nested


class TestLoginBody:
    @pytest.mark.parametrize(
        ("body", "fields"),
        [
            ({}, {"username", "password"}),
            ([], {"non_field_errors"}),
            ('"text"', {"non_field_errors"}),
            ("null", {"non_field_errors"}),
            ({"username": "ana"}, {"password"}),
            ({"username": "", "password": ""}, {"username", "password"}),
            ({"username": None, "password": None}, {"username", "password"}),
            ({"username": 7, "password": 1234567890}, {"username", "password"}),
            ({"username": True, "password": 1.5}, {"username", "password"}),
            ({"username": ["ana"], "password": {"$ne": None}}, {"username", "password"}),
            ({"username": {"$gt": ""}, "password": ["secret-value"]}, {"username", "password"}),
            ({"username": "u" * 151, "password": "secret-value"}, {"username"}),
            ({"username": "ana", "password": "secret-value" * 200}, {"password"}),
            ({"username": "ana", "password": "secret-value\0"}, {"password"}),
            ({"username": "ana\0", "password": "secret-value"}, {"username"}),
            ({"username": "an\na", "password": "secret-value"}, {"username"}),
            ({"username": nested(20), "password": nested(20)}, {"username", "password"}),
            ({"username": "ana", "pasword": "secret-value"}, {"pasword"}),
            ({"username": "ana", "password": "secret-value", "otp": 1}, {"otp"}),
        ],
    )
    def test_impossible_bodies_are_400_and_repeat_nothing(
        self, http: Api, body: Any, fields: set[str]
    ) -> None:
        answer = http.call("post", "login", body)
        assert answer.status == 400
        assert answer.body["error"] == "VALIDATION_ERROR"
        assert set(answer.body["fields"]) == fields
        reported = str(answer.body)
        assert "secret-value" not in reported
        assert "uuu" not in reported
        assert "1234567890" not in reported

    @pytest.mark.parametrize(
        "raw",
        [
            b"{",
            b"[]",
            b'{"username": "secret-name"}',
            b'{"username": "secret\\u0000name", "password": "secret-value"}',
            b'{"username": "ana", "password": "secret-value\\u0000"}',
        ],
    )
    def test_a_try_that_cannot_be_checked_is_logged_without_its_values(
        self, client: Client, raw: bytes, written_log: Callable[[], list[dict[str, Any]]]
    ) -> None:
        assert client.post("/api/auth/login", raw, content_type="application/json").status_code == 400
        [line] = [line for line in written_log() if line["event"] == "login"]
        assert (line["outcome"], line["address"]) == ("invalid", "127.0.0.1")
        assert "secret" not in str(written_log())

    @pytest.mark.parametrize(
        "raw", [b"", b"{", b"\xff", b'{"username": "ana", "password": "\\ud800secret"}', b"[" * 100_000]
    )
    def test_unreadable_bodies_are_400(self, client: Client, raw: bytes) -> None:
        response = client.post("/api/auth/login", raw, content_type="application/json")
        assert response.status_code == 400
        assert response.json()["success"] is False
        assert "secret" not in response.content.decode()


class TestAuthorizationHeader:
    @pytest.mark.parametrize(
        "authorization",
        [
            "",
            "Bearer",
            "Bearer ",
            "Bearer  ",
            "Bearer a b",
            "Bearer a  b c",
            "Bearer\ttoken",
            "Bearer,token",
            "Bearertoken",
            "Bearer caf\xe9",
            "Bearer \xff\xfe",
            "Bearer mlc_" + "a" * 10_000,
            "Bearer a.b.c",
            "Bearer " + "e30." * 2 + "e30",
            "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
            "Basic YW5hOnB3",
            "Token abc",
            "mlc_" + "a" * 43,
            "Bearer null",
            'Bearer {"$ne":1}',
            "\xa0Bearer x",
        ],
    )
    def test_malformed_and_unknown_headers_are_401(self, http: Api, authorization: str) -> None:
        answer = http.call("get", "me", authorization=authorization)
        assert answer.status == 401
        assert answer.body["success"] is False
        assert answer.body["error"] == "UNAUTHENTICATED"
        assert answer.headers["WWW-Authenticate"] == "Bearer"

    def test_no_header_is_401(self, http: Api) -> None:
        answer = http.call("get", "me")
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
