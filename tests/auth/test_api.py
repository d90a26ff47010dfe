"""The addresses under ``/api/auth/``, as a client sees them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from apps.auth import selectors, services
from apps.auth.models import ApiToken
from apps.auth.tokens.caller_cache import CallerCache
from apps.auth.tokens.credentials import new_api_token
from tests.auth.conftest import PASSWORD, Api, FakeClock, nested
from tests.factories import UNKNOWN_ID

BAD_TOKENS: list[tuple[dict[str, Any], str]] = [
    ({}, "label"),
    ({"label": None}, "label"),
    ({"label": 42}, "label"),
    ({"label": "a"}, "label"),
    ({"label": "  a  "}, "label"),
    ({"label": "x" * 51}, "label"),
    ({"label": "a\u0007b"}, "label"),
    ({"label": "a\u202eb"}, "label"),
    ({"label": nested(20)}, "label"),
    ({"label": "fine", "expires_hours": 0}, "expires_hours"),
    ({"label": "fine", "expires_hours": 8761}, "expires_hours"),
    ({"label": "fine", "expires_hours": True}, "expires_hours"),
    ({"label": "fine", "expires_hours": 1.5}, "expires_hours"),
    ({"label": "fine", "expires_hours": "24"}, "expires_hours"),
    ({"label": "fine", "expires_hours": None}, "expires_hours"),
    ({"label": "fine", "expires_hours": 2**63 - 1}, "expires_hours"),
    ({"label": "fine", "scope": "root"}, "scope"),
    ({"label": "fine", "scope": "x" * 10_000}, "scope"),
    ({"label": "fine", "scope": ["admin"]}, "scope"),
    ({"label": "fine", "scope": nested(20)}, "scope"),
    ({"label": "fine", "scope": None}, "scope"),
    ({"label": "fine", "expire_hours": 1}, "expire_hours"),
]

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]


class TestLogin:
    def test_a_login_token_opens_the_api(self, http: Api, user: User) -> None:
        login = http.log_in()
        assert login.status == 200
        assert set(login.data) == {"token", "username", "expires_at"}
        assert login.headers["Cache-Control"] == "no-store"
        me = http.call("get", "me", token=login.data["token"])
        assert me.status == 200
        assert me.data == {
            "username": "ana",
            "scope": "reader",
            "kind": "login",
            "expires_at": login.data["expires_at"],
        }
        assert datetime.fromisoformat(me.data["expires_at"]) > timezone.now() + timedelta(hours=23)

    def test_with_a_slash_at_the_end_too(self, http: Api, user: User) -> None:
        assert http.call("post", "login/", {"username": "ana", "password": PASSWORD}).status == 200

    def test_a_bad_token_in_the_header_does_not_matter(self, http: Api, user: User) -> None:
        assert http.log_in(authorization="Bearer expired").status == 200

    @pytest.mark.parametrize("username", ["ana", "nobody", "ANA", "<script>"])
    def test_wrong_credentials_are_401_with_one_body(self, http: Api, user: User, username: str) -> None:
        answer = http.log_in(username, "wrong-password-value")
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.body == {
            "success": False,
            "error": "UNAUTHENTICATED",
            "message": "Wrong username or password.",
            "detail": None,
        }

    @pytest.mark.parametrize("password", ["p", "密码🔑", " spaces around ", "x" * 1024])
    def test_odd_passwords_work_as_they_are(self, http: Api, password: str) -> None:
        User.objects.create_user("odd", password=password)
        assert http.log_in("odd", password).status == 200
        assert http.log_in("odd", password + "x" if len(password) < 1024 else "y").status == 401

    def test_the_eleventh_try_in_a_minute_is_429(self, http: Api, user: User) -> None:
        for _ in range(10):
            assert http.log_in(password="wrong").status == 401
        refused = http.log_in()
        assert refused.status == 429
        assert refused.body["error"] == "RATE_LIMITED"
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert http.log_in("bob", address="192.0.2.2").status == 401

    def test_a_forwarded_for_header_gives_no_new_tries(self, client: Client, user: User) -> None:
        statuses = [
            client.post(
                "/api/auth/login",
                {"username": f"user{n}", "password": "wrong"},
                content_type="application/json",
                headers={"X-Forwarded-For": f"198.51.100.{n}", "X-Real-IP": f"198.51.100.{n}"},
            ).status_code
            for n in range(11)
        ]
        assert statuses == [401] * 10 + [429]

    def test_with_redis_down_the_limit_holds(self, http: Api, user: User, redis_is_down: None) -> None:
        assert http.log_in().status == 200
        assert [http.log_in(password="wrong").status for _ in range(10)] == [401] * 9 + [429]


class TestBearer:
    def test_an_unknown_token_is_401(self, http: Api) -> None:
        assert http.call("get", "me", token=new_api_token()).status == 401

    @pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "Bearer   "])
    def test_the_scheme_may_be_spelt_in_any_case(
        self, http: Api, reader_credential: services.CreatedToken, scheme: str
    ) -> None:
        answer = http.call("get", "me", authorization=f"{scheme}{reader_credential.token}")
        assert answer.status == 200
        assert answer.data["username"] == "reader program"
        assert answer.data["kind"] == "token"

    def test_a_session_of_the_admin_site_is_no_token(self, http: Api, staff: User) -> None:
        http.client.force_login(staff)
        assert http.call("get", "me").status == 401

    def test_an_expired_token_is_401(self, http: Api, reader_credential: services.CreatedToken) -> None:
        ApiToken.objects.filter(pk=reader_credential.id).update(
            expires_at=timezone.now() - timedelta(seconds=1)
        )
        assert http.call("get", "me", token=reader_credential.token).status == 401

    def test_use_is_noted(self, http: Api, reader_credential: services.CreatedToken) -> None:
        http.call("get", "me", token=reader_credential.token)
        used_at = ApiToken.objects.get(pk=reader_credential.id).last_used_at
        assert used_at is not None
        assert timezone.now() - used_at < timedelta(seconds=10)

    def test_a_refused_token_is_not_noted_as_used(
        self, http: Api, reader_credential: services.CreatedToken
    ) -> None:
        services.revoke_token(token_id=reader_credential.id, revoked_by="boss")
        http.call("get", "me", token=reader_credential.token)
        assert ApiToken.objects.get(pk=reader_credential.id).last_used_at is None

    def test_requests_in_a_row_ask_mongodb_nothing(
        self,
        http: Api,
        reader_credential: services.CreatedToken,
        django_assert_num_queries: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(selectors, "known_callers", CallerCache(timer=FakeClock()))
        http.call("get", "me", token=reader_credential.token)
        with django_assert_num_queries(0):
            for _ in range(5):
                assert http.call("get", "me", token=reader_credential.token).status == 200


class TestMongoDown:
    def test_a_known_token_goes_on_and_an_unknown_one_is_503(
        self, http: Api, reader_credential: services.CreatedToken, request: pytest.FixtureRequest
    ) -> None:
        assert http.call("get", "me", token=reader_credential.token).status == 200
        selectors.known_callers.clear()
        asked = request.getfixturevalue("mongo_is_down")
        for _ in range(5):
            assert http.call("get", "me", token=reader_credential.token).status == 200
            unknown = http.call("get", "me", token=new_api_token())
            assert unknown.status == 503
            assert unknown.body["error"] == "DEPENDENCY_UNAVAILABLE"
        assert len(asked) == 1

    def test_garbage_is_still_401(self, http: Api, mongo_is_down: list[str]) -> None:
        assert http.call("get", "me", token="garbage").status == 401
        assert not mongo_is_down

    def test_a_login_token_goes_on(self, http: Api, user: User, request: pytest.FixtureRequest) -> None:
        token = http.log_in().data["token"]
        request.getfixturevalue("mongo_is_down")
        request.getfixturevalue("redis_is_down")
        assert http.call("get", "me", token=token).data["username"] == "ana"

    def test_a_revoked_token_stays_refused(
        self, http: Api, reader_credential: services.CreatedToken, request: pytest.FixtureRequest
    ) -> None:
        http.call("get", "me", token=reader_credential.token)
        services.revoke_token(token_id=reader_credential.id, revoked_by="boss")
        request.getfixturevalue("mongo_is_down")
        assert http.call("get", "me", token=reader_credential.token).status == 401


class TestTokens:
    def test_an_admin_creates_lists_and_revokes(self, http: Api, staff: User) -> None:
        rights = Permission.objects.filter(codename__in=["add_apitoken", "change_apitoken"])
        staff.user_permissions.set(rights)
        boss = http.log_in("boss").data["token"]
        created = http.call("post", "generate-token", {"label": " 采集 client "}, token=boss)
        assert created.status == 201
        assert set(created.data) == {"token", "id", "label", "expires_at"}
        assert created.data["label"] == "采集 client"
        assert created.headers["Cache-Control"] == "no-store"
        token = created.data["token"]
        assert http.call("get", "me", token=token).data["scope"] == "reader"

        [row] = http.call("get", "tokens", token=boss).data["tokens"]
        assert set(row) == {
            "id",
            "label",
            "scope",
            "created_by",
            "created_at",
            "expires_at",
            "last_used_at",
            "revoked",
        }
        assert (row["id"], row["created_by"], row["revoked"]) == (created.data["id"], "boss", False)

        assert row["expires_at"] == created.data["expires_at"]
        assert row["expires_at"].endswith("Z")

        for _ in range(2):
            revoked = http.call("delete", f"tokens/{row['id']}", token=boss)
            assert revoked.status == 200
            assert revoked.data == {"id": row["id"], "revoked": True}
        assert http.call("get", "me", token=token).status == 401
        assert http.call("get", "tokens", token=boss).data["tokens"][0]["revoked"] is True

    @pytest.mark.usefixtures("staff")
    def test_with_mongodb_down_unknown_permissions_are_not_called_missing(
        self, http: Api, request: pytest.FixtureRequest
    ) -> None:
        boss = http.log_in("boss").data["token"]
        request.getfixturevalue("mongo_is_down")
        answer = http.call("post", "generate-token", {"label": "mine"}, token=boss)
        assert (answer.status, answer.body["error"]) == (503, "DEPENDENCY_UNAVAILABLE")

    def test_a_token_of_scope_admin_may_do_the_same(
        self, http: Api, admin_credential: services.CreatedToken
    ) -> None:
        body = {"label": "second", "scope": "admin", "expires_hours": 1}
        created = http.call("post", "generate-token", body, token=admin_credential.token)
        assert created.status == 201
        assert http.call("get", "tokens", token=created.data["token"]).status == 200
        lifetime = datetime.fromisoformat(created.data["expires_at"]) - timezone.now()
        assert timedelta(minutes=59) < lifetime <= timedelta(hours=1)

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("post", "generate-token", {"label": "mine", "scope": "admin"}),
            ("get", "tokens", None),
            ("delete", f"tokens/{UNKNOWN_ID}", None),
        ],
    )
    @pytest.mark.usefixtures("user")
    def test_others_may_not(
        self, http: Api, reader_credential: services.CreatedToken, method: str, path: str, body: Any
    ) -> None:
        assert http.call(method, path, body).status == 401
        for token in (http.log_in().data["token"], reader_credential.token):
            answer = http.call(method, path, body, token=token)
            assert answer.status == 403
            assert answer.body["error"] == "PERMISSION_DENIED"
        assert ApiToken.objects.count() == 1

    def test_bad_input_is_400_and_stores_nothing(
        self, http: Api, admin_credential: services.CreatedToken
    ) -> None:
        for body, field in BAD_TOKENS:
            answer = http.call("post", "generate-token", body, token=admin_credential.token)
            assert answer.status == 400, body
            assert list(answer.body["fields"]) == [field]
            assert len(str(answer.body)) < 500
        assert ApiToken.objects.count() == 1

    def test_unknown_and_malformed_ids_are_404(
        self, http: Api, admin_credential: services.CreatedToken
    ) -> None:
        for token_id in ("x", "0" * 24, "0" * 23, "%00", "%F0%9F%94%91", "1" * 5000, "$where"):
            answer = http.call("delete", f"tokens/{token_id}", token=admin_credential.token)
            assert answer.status == 404, token_id
            assert answer.body["error"] == "NOT_FOUND"

    def test_lists_come_in_pages(self, http: Api, admin_credential: services.CreatedToken) -> None:
        for number in range(2):
            services.create_token(label=f"token {number}", created_by="boss")
        first = http.call("get", "tokens?limit=2", token=admin_credential.token).data
        rest = http.call("get", f"tokens?cursor={first['next_cursor']}", token=admin_credential.token).data
        assert [len(first["tokens"]), len(rest["tokens"])] == [2, 1]
        assert rest["next_cursor"] is None
        for query in ("limit=0", "limit=100000", "limit=x", "cursor=x", "cursor=%00", f"cursor={'x' * 600}"):
            assert http.call("get", f"tokens?{query}", token=admin_credential.token).status == 400, query

    def test_a_revocation_elsewhere_holds_here_within_a_second(
        self, http: Api, reader_credential: services.CreatedToken, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = FakeClock()
        monkeypatch.setattr(selectors, "known_callers", CallerCache(timer=clock))
        assert http.call("get", "me", token=reader_credential.token).status == 200
        # Another process: this one's memory gets no notification.
        ApiToken.objects.filter(pk=reader_credential.id).update(revoked_at=timezone.now())
        clock.advance(1)
        assert http.call("get", "me", token=reader_credential.token).status == 401

    def test_other_methods_are_405(self, http: Api, admin_credential: services.CreatedToken) -> None:
        for method, path in (
            ("get", "login"),
            ("get", "generate-token"),
            ("post", "tokens"),
            ("get", f"tokens/{UNKNOWN_ID}"),
            ("post", "me"),
        ):
            answer = http.call(method, path, token=admin_credential.token)
            assert answer.status == 405, path
            assert answer.body["error"] == "METHOD_NOT_ALLOWED"
            assert answer.headers["Allow"]
