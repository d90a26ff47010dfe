"""Logins, API tokens and the first admin."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, IntegrityError
from pymongo.errors import PyMongoError, ServerSelectionTimeoutError
from pymongo.synchronous.mongo_client import MongoClient
from structlog.testing import capture_logs

from apps.auth import services
from apps.auth.choices import TokenScope
from apps.auth.errors import Unauthenticated
from apps.auth.models import ApiToken
from apps.auth.passwords.hashing_limit import HashingBusy, HashingLimit
from apps.auth.tokens.credentials import hash_api_token
from apps.core import process_state
from apps.core.errors import DependencyUnavailable, InvalidInput, NotFound, RateLimited
from apps.core.storage.outages import mongo_outage
from tests.auth.conftest import PASSWORD
from tests.factories import UNKNOWN_ID
from tests.silence import no_mongo

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]

ADDRESS = "192.0.2.1"


def log_in(username: str = "ana", password: str = PASSWORD, address: str = ADDRESS) -> services.LoginResult:
    return services.log_in(username=username, password=password, address=address)


class TestLogIn:
    def test_the_right_password_gives_a_token_for_the_set_time(self, user: User, settings: Any) -> None:
        settings.JWT_EXPIRE_HOURS = 3
        result = log_in()
        assert result.username == "ana"
        assert result.token.count(".") == 2
        left = result.expires_at - datetime.now(UTC)
        assert timedelta(hours=3) - timedelta(seconds=5) < left <= timedelta(hours=3)

    @pytest.mark.parametrize("case", ["wrong password", "unknown user", "inactive user", "other case"])
    def test_every_refusal_reads_the_same(self, user: User, case: str) -> None:
        if case == "inactive user":
            User.objects.filter(pk=user.pk).update(is_active=False)
        with pytest.raises(Unauthenticated) as caught:
            log_in(
                username={"unknown user": "nobody", "other case": "Ana"}.get(case, "ana"),
                password="wrong" if case == "wrong password" else PASSWORD,
            )
        assert caught.value.message == "Wrong username or password."
        assert caught.value.headers == {"WWW-Authenticate": "Bearer"}

    def test_an_unknown_user_costs_the_same_work(self, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
        from django.contrib.auth.hashers import MD5PasswordHasher

        hashed: list[str] = []
        encode = MD5PasswordHasher.encode
        monkeypatch.setattr(
            MD5PasswordHasher,
            "encode",
            lambda self, password, salt: hashed.append(password) or encode(self, password, salt),
        )
        for username in ("ana", "nobody"):
            hashed.clear()
            with pytest.raises(Unauthenticated):
                log_in(username=username, password="wrong")
            assert hashed == ["wrong"]

    @pytest.mark.parametrize("bad", [{"username": "u" * 151}, {"password": "p" * 1025}, {"password": "a\0"}])
    def test_impossible_input_is_refused_before_any_work(
        self, bad: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(services, "authenticate", lambda **_: pytest.fail("was hashed"))
        with pytest.raises(InvalidInput):
            log_in(**bad)

    def test_the_eleventh_try_is_refused_even_with_the_right_password(self, user: User) -> None:
        for _ in range(10):
            with pytest.raises(Unauthenticated):
                log_in(password="wrong")
        with pytest.raises(RateLimited) as caught:
            log_in()
        assert 1 <= int(caught.value.headers["Retry-After"]) <= 60

    def test_a_hanging_database_is_not_a_wrong_password(
        self, user: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = 0

        def fail(**_: Any) -> None:
            nonlocal asked
            asked += 1
            try:
                no_mongo()
            except PyMongoError as error:
                raise DatabaseError from error

        monkeypatch.setattr(services, "authenticate", fail)
        for _ in range(20):
            with pytest.raises(DependencyUnavailable):
                log_in()
        assert asked == 1  # the outage is known after the first, and no user's attempts are used up
        mongo_outage.forget()
        monkeypatch.undo()
        assert log_in().username == "ana"

    def test_at_most_two_passwords_are_hashed_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        lock, inside, peak = threading.Lock(), 0, 0
        pair = threading.Barrier(2, timeout=20)  # so that none is done before another one has come

        def hash_in_pairs(**_: Any) -> None:
            nonlocal inside, peak
            with lock:
                inside += 1
                peak = max(peak, inside)
            pair.wait()
            with lock:
                inside -= 1

        monkeypatch.setattr(services, "authenticate", hash_in_pairs)

        def attempt(number: int) -> str:
            try:
                log_in(username=f"user{number}", address=f"192.0.2.{number}")
            except Unauthenticated:
                return "refused"
            return "accepted"

        with ThreadPoolExecutor(10) as pool:
            assert set(pool.map(attempt, range(10))) == {"refused"}
        assert peak == 2


class TestAuditLog:
    def outcome_of(self, **credentials: str) -> dict[str, Any]:
        expected = (Unauthenticated, RateLimited, DependencyUnavailable)
        with capture_logs() as lines, contextlib.suppress(*expected):
            log_in(**credentials)
        reported = str(lines)
        assert credentials.get("password", PASSWORD) not in reported
        assert "eyJ" not in reported
        [line] = [line for line in lines if line["event"] == "login"]
        return dict(line)

    def test_every_try_is_one_line_with_user_and_address(self, user: User) -> None:
        accepted = self.outcome_of()
        assert accepted["outcome"] == "accepted"
        assert accepted["username"] == "ana"
        assert accepted["address"] == ADDRESS
        assert self.outcome_of(password="not-the-password")["outcome"] == "refused"
        assert self.outcome_of(username="nobody")["outcome"] == "refused"

    def test_throttled_busy_and_unavailable_tries_are_told_apart(
        self, user: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        full = HashingLimit(concurrent=1, admitted=1, wait_seconds=0)
        monkeypatch.setattr(services, "process_hashing_limit", lambda: full)
        with full.claim():
            assert self.outcome_of()["outcome"] == "busy"
            with pytest.raises(HashingBusy):
                log_in()
        mongo_outage.note()
        assert self.outcome_of()["outcome"] == "unavailable"
        mongo_outage.forget()
        for _ in range(8):
            self.outcome_of()
        assert self.outcome_of()["outcome"] == "throttled"

    def test_a_crash_is_a_line_too(self, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(services, "authenticate", lambda **_: 1 / 0)
        with capture_logs() as lines, pytest.raises(ZeroDivisionError):
            log_in()
        assert [line["outcome"] for line in lines] == ["failed"]

    def test_tokens_made_and_revoked_are_lines_without_the_token(self) -> None:
        with capture_logs() as lines:
            token = services.create_token(label="program", created_by="boss")
            services.revoke_token(token_id=token.id, revoked_by="chief")
            services.revoke_token(token_id=token.id, revoked_by="chief")
        created, revoked = (line for line in lines if line["event"].startswith("token_"))
        assert (created["event"], created["created_by"], created["label"]) == (
            "token_created",
            "boss",
            "program",
        )
        assert (revoked["event"], revoked["revoked_by"], revoked["id"]) == (
            "token_revoked",
            "chief",
            token.id,
        )
        assert token.token not in str(lines)
        assert hash_api_token(token.token) not in str(lines)


class TestCreateToken:
    def test_only_the_hash_is_stored(self) -> None:
        created = services.create_token(label="  program ", created_by="boss", expires_hours=2)
        token = ApiToken.objects.get(pk=created.id)
        assert token.label == created.label == "program"
        assert token.scope == TokenScope.READER
        assert token.created_by == "boss"
        assert token.token_hash == hash_api_token(created.token)
        assert token.expires_at == created.expires_at == token.created_at + timedelta(hours=2)
        assert created.token not in str(list(ApiToken.objects.values()))

    def test_it_lives_thirty_days_unless_told_otherwise(self) -> None:
        created = services.create_token(label="program", created_by="boss")
        assert created.expires_at - ApiToken.objects.get(pk=created.id).created_at == timedelta(hours=720)

    @pytest.mark.parametrize(
        "bad",
        [{"label": "x"}, {"label": "a\nb"}, {"expires_hours": 0}, {"expires_hours": True}, {"scope": "root"}],
    )
    def test_nothing_is_stored_of_a_bad_one(self, bad: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            services.create_token(**{"label": "program", "created_by": "boss", **bad})
        assert not ApiToken.objects.exists()


class TestRevokeToken:
    def test_twice_is_harmless_and_keeps_the_first_instant(
        self, reader_credential: services.CreatedToken
    ) -> None:
        first = services.revoke_token(token_id=reader_credential.id, revoked_by="boss")
        revoked_at = ApiToken.objects.get(pk=reader_credential.id).revoked_at
        second = services.revoke_token(token_id=reader_credential.id, revoked_by="boss")
        assert (first.was_active, second.was_active) == (True, False)
        assert first.revoked
        assert second.revoked
        assert revoked_at is not None
        assert ApiToken.objects.get(pk=reader_credential.id).revoked_at == revoked_at

    @pytest.mark.parametrize("token_id", ["", "x", "0" * 24, UNKNOWN_ID, "é" * 24, "1" * 100_000, "\0"])
    def test_unknown_and_malformed_ids_are_not_found(self, token_id: str) -> None:
        with pytest.raises(NotFound):
            services.revoke_token(token_id=token_id, revoked_by="boss")

    def test_it_works_while_redis_is_down(
        self, reader_credential: services.CreatedToken, redis_is_down: None
    ) -> None:
        assert services.revoke_token(token_id=reader_credential.id, revoked_by="boss").was_active


class TestRecordTokenUse:
    def last_use(self, token: services.CreatedToken) -> datetime | None:
        return ApiToken.objects.get(pk=token.id).last_used_at

    def test_once_a_minute_across_processes(self, reader_credential: services.CreatedToken) -> None:
        first = datetime(2026, 1, 1, tzinfo=UTC)
        for seconds, noted in ((0, 0), (30, 0), (59, 0), (60, 60), (90, 60)):
            process_state.forget_all()  # each time another process
            services.record_token_use(token_id=reader_credential.id, now=first + timedelta(seconds=seconds))
            assert self.last_use(reader_credential) == first + timedelta(seconds=noted)

    def test_a_process_asks_mongodb_once_a_minute(
        self, reader_credential: services.CreatedToken, django_assert_num_queries: Any
    ) -> None:
        with django_assert_num_queries(1):
            for _ in range(5):
                services.record_token_use(token_id=reader_credential.id, now=datetime.now(UTC))

    def test_a_failure_stays_here(
        self, reader_credential: services.CreatedToken, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def find_none(*_: Any, **__: Any) -> None:
            raise ServerSelectionTimeoutError("no servers found")

        monkeypatch.setattr(MongoClient, "_select_server", find_none)
        services.record_token_use(token_id=reader_credential.id, now=datetime.now(UTC))
        assert mongo_outage.is_known

    def test_nothing_is_tried_while_mongodb_is_known_to_be_down(
        self, reader_credential: services.CreatedToken, django_assert_num_queries: Any
    ) -> None:
        mongo_outage.note()
        with django_assert_num_queries(0):
            services.record_token_use(token_id=reader_credential.id, now=datetime.now(UTC))


class TestEnsureAdmin:
    def test_the_first_admin_can_log_in(self, settings: Any) -> None:
        settings.ADMIN_USERNAME, settings.ADMIN_PASSWORD = "chief", "a password of the settings"
        result = services.ensure_admin()
        assert (result.username, result.created, result.is_admin) == ("chief", True, True)
        chief = User.objects.get(username="chief")
        assert chief.is_staff
        assert chief.is_superuser
        assert log_in(username="chief", password="a password of the settings").username == "chief"

    def test_an_existing_user_is_left_as_it_is(self, user: User, settings: Any) -> None:
        settings.ADMIN_USERNAME, settings.ADMIN_PASSWORD = "ana", "another password"
        result = services.ensure_admin()
        assert (result.created, result.is_admin) == (False, False)
        user.refresh_from_db()
        assert user.check_password(PASSWORD)
        assert not user.is_staff

    def test_two_processes_at_once_make_one_user(
        self, user: User, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.ADMIN_USERNAME = "ana"
        monkeypatch.setattr(type(User.objects.all()), "first", lambda _self: None)

        def lose_the_race(**_: Any) -> None:
            raise IntegrityError

        monkeypatch.setattr(User.objects, "create_superuser", lose_the_race)
        assert services.ensure_admin().created is False

    @pytest.mark.parametrize("password", [None, ""])
    def test_without_a_password_there_is_no_admin(self, settings: Any, password: str | None) -> None:
        settings.ADMIN_PASSWORD = password
        with pytest.raises(InvalidInput, match="ADMIN_PASSWORD"):
            services.ensure_admin()
        assert not User.objects.exists()
