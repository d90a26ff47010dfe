"""Who bears a token, and the list of tokens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection

from apps.auth import selectors, services
from apps.auth.choices import CredentialKind, TokenScope
from apps.auth.errors import Unauthenticated
from apps.auth.models import ApiToken
from apps.auth.tokens.caller_cache import FRESH_SECONDS, CallerCache
from apps.auth.tokens.credentials import hash_api_token
from apps.core.errors import DependencyUnavailable
from tests.auth.conftest import PASSWORD, FakeClock

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]


def now() -> datetime:
    return datetime.now(UTC)


def log_in(user: User) -> str:
    return services.log_in(username=user.username, password=PASSWORD, address="192.0.2.1").token


@pytest.fixture
def next_moment(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what lets the time pass in which an earlier answer is used again."""
    monkeypatch.setattr(selectors, "known_callers", CallerCache(timer=clock))
    return partial(clock.advance, FRESH_SECONDS)


class TestApiTokens:
    def test_the_principal_bears_the_label_as_its_name(
        self, reader_credential: services.CreatedToken
    ) -> None:
        principal = selectors.resolve_bearer(reader_credential.token, now=now())
        assert principal.username == "reader program"
        assert principal.scope == TokenScope.READER
        assert principal.kind == CredentialKind.TOKEN
        assert principal.expires_at == reader_credential.expires_at
        assert principal.token_id == reader_credential.id
        assert principal.is_authenticated
        assert not principal.is_anonymous
        assert not principal.is_staff

    def test_scope_admin_makes_staff(self, admin_credential: services.CreatedToken) -> None:
        assert selectors.resolve_bearer(admin_credential.token, now=now()).is_staff

    def test_it_ends_at_its_instant_even_when_remembered(
        self, reader_credential: services.CreatedToken
    ) -> None:
        last = reader_credential.expires_at - timedelta(seconds=1)
        assert selectors.resolve_bearer(reader_credential.token, now=last)
        with pytest.raises(Unauthenticated):
            selectors.resolve_bearer(reader_credential.token, now=reader_credential.expires_at)

    def test_unknown_tokens_are_refused(self) -> None:
        with pytest.raises(Unauthenticated):
            selectors.resolve_bearer("mlc_" + "a" * 43, now=now())

    def test_the_hash_is_not_a_token(self, reader_credential: services.CreatedToken) -> None:
        with pytest.raises(Unauthenticated):
            selectors.resolve_bearer(hash_api_token(reader_credential.token), now=now())

    def test_another_process_refuses_a_revoked_token_within_a_second(
        self, reader_credential: services.CreatedToken
    ) -> None:
        clock = FakeClock()
        other_process = CallerCache(timer=clock)
        token_hash = hash_api_token(reader_credential.token)

        def is_enabled_there() -> bool:
            state = other_process.look_up(token_hash, lambda: selectors.load_token_state(token_hash))
            return state is not None and state.is_enabled

        assert is_enabled_there()
        services.revoke_token(token_id=reader_credential.id, revoked_by="boss")
        clock.advance(1)
        assert not is_enabled_there()

    def test_a_lookup_by_hash_uses_an_index(self, reader_credential: services.CreatedToken) -> None:
        pipeline = [{"$match": {"token_hash": hash_api_token(reader_credential.token)}}]
        plan = connection.database.command(
            "explain",
            {"aggregate": ApiToken._meta.db_table, "pipeline": pipeline, "cursor": {}},
            verbosity="queryPlanner",
        )
        assert "IXSCAN" in str(plan)
        assert "COLLSCAN" not in str(plan["queryPlanner"]["winningPlan"])

    def test_with_mongodb_down_a_known_token_goes_on(
        self,
        reader_credential: services.CreatedToken,
        next_moment: Callable[[], None],
        request: pytest.FixtureRequest,
    ) -> None:
        selectors.resolve_bearer(reader_credential.token, now=now())
        next_moment()
        request.getfixturevalue("mongo_is_down")
        assert selectors.resolve_bearer(reader_credential.token, now=now()).username == "reader program"
        with pytest.raises(Unauthenticated):
            selectors.resolve_bearer(reader_credential.token, now=reader_credential.expires_at)

    def test_with_mongodb_down_an_unseen_token_is_not_called_invalid(
        self, reader_credential: services.CreatedToken, mongo_is_down: list[str]
    ) -> None:
        with pytest.raises(DependencyUnavailable):
            selectors.resolve_bearer(reader_credential.token, now=now())


class TestLogins:
    def test_the_principal_is_the_user(self, user: User, staff: User) -> None:
        principal = selectors.resolve_bearer(log_in(user), now=now())
        assert principal.username == "ana"
        assert principal.scope == TokenScope.READER
        assert principal.kind == CredentialKind.LOGIN
        assert principal.token_id is None
        assert selectors.resolve_bearer(log_in(staff), now=now()).is_staff

    @pytest.mark.parametrize("change", ["deactivated", "deleted", "new password"])
    def test_it_ends_with_its_user(self, user: User, change: str, next_moment: Callable[[], None]) -> None:
        token = log_in(user)
        selectors.resolve_bearer(token, now=now())
        if change == "deleted":
            user.delete()
        else:
            user.is_active = change != "deactivated"
            if change == "new password":
                user.set_password("another password")
            user.save()
        next_moment()
        with pytest.raises(Unauthenticated):
            selectors.resolve_bearer(token, now=now())

    def test_a_user_of_the_same_name_does_not_inherit_it(self, user: User) -> None:
        token = log_in(user)
        user.delete()
        User.objects.create_user("ana", password=PASSWORD)
        with pytest.raises(Unauthenticated):
            selectors.resolve_bearer(token, now=now())

    def test_staff_rights_follow_the_user(self, staff: User, next_moment: Callable[[], None]) -> None:
        token = log_in(staff)
        assert selectors.resolve_bearer(token, now=now()).is_staff
        User.objects.filter(pk=staff.pk).update(is_staff=False)
        next_moment()
        assert not selectors.resolve_bearer(token, now=now()).is_staff

    def test_with_mongodb_down_the_signed_claims_are_trusted(
        self, staff: User, request: pytest.FixtureRequest
    ) -> None:
        token = log_in(staff)
        request.getfixturevalue("mongo_is_down")
        principal = selectors.resolve_bearer(token, now=now())
        assert principal.username == "boss"
        assert principal.is_staff
        assert principal.permissions is None
        assert not principal.has_permissions({"mengla.delete_record"})

    def test_with_mongodb_down_remembered_permissions_go_on(
        self, staff: User, next_moment: Callable[[], None], request: pytest.FixtureRequest
    ) -> None:
        token = log_in(staff)
        staff.user_permissions.set(Permission.objects.filter(codename="delete_record"))
        selectors.resolve_bearer(token, now=now())
        next_moment()
        request.getfixturevalue("mongo_is_down")
        principal = selectors.resolve_bearer(token, now=now())
        assert principal.has_permissions({"mengla.delete_record"})
        assert not principal.has_permissions({"mengla.delete_record", "sync_tasks.delete_synctask"})

    def test_with_mongodb_down_a_deactivation_already_seen_holds(
        self, user: User, next_moment: Callable[[], None], request: pytest.FixtureRequest
    ) -> None:
        token = log_in(user)
        User.objects.filter(pk=user.pk).update(is_active=False)
        with pytest.raises(Unauthenticated):
            selectors.resolve_bearer(token, now=now())
        next_moment()
        request.getfixturevalue("mongo_is_down")
        with pytest.raises(Unauthenticated):
            selectors.resolve_bearer(token, now=now())


class TestListTokens:
    def test_newest_first_and_bounded(self) -> None:
        start = datetime(2026, 1, 1, tzinfo=UTC)
        for day in range(5):
            ApiToken.objects.create(
                token_hash=str(day),
                label=f"token {day}",
                created_at=start + timedelta(days=day),
                expires_at=start + timedelta(days=30),
                created_by="boss",
            )
        first = selectors.list_tokens(limit=3)
        assert [row["label"] for row in first.rows] == ["token 4", "token 3", "token 2"]
        rest = selectors.list_tokens(cursor=first.next_cursor, limit=3)
        assert [row["label"] for row in rest.rows] == ["token 1", "token 0"]
        assert rest.next_cursor is None

    def test_a_row_shows_the_state_and_never_the_hash(self, reader_credential: services.CreatedToken) -> None:
        services.revoke_token(token_id=reader_credential.id, revoked_by="boss")
        [row] = selectors.list_tokens().rows
        assert row["id"] == reader_credential.id
        assert row["revoked"]
        assert row["last_used_at"] is None
        assert row["created_by"] == "boss"
        assert row["expires_at"] == reader_credential.expires_at
        assert hash_api_token(reader_credential.token) not in repr(row)
