"""Logins to the admin by an OpenID provider: who gets in, with which rights, and who does not."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from apps.auth.checks import check_oidc_issuer, check_oidc_packages
from apps.auth.models import OidcIdentity
from apps.auth.oidc import attempt_cookie, identities
from apps.auth.oidc.refusals import LoginRefusedError
from tests.auth.conftest import PASSWORD
from tests.auth.oidc.process import ProviderProcess
from tests.parallel import own_port

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis, pytest.mark.slow]

Log = Callable[[], list[dict[str, Any]]]
LOGIN, CALLBACK, ADMIN = "/oidc/login", "/oidc/callback", "/admin/"
ANA = {"preferred_username": "ana", "email": "ana@example.com", "email_verified": True, "given_name": "Ana"}


@pytest.fixture(autouse=True)
def _roles(db: None) -> None:
    for name in ("viewer", "operator"):
        Group.objects.get_or_create(name=name)


class Person:
    """A person with a browser."""

    def __init__(self, provider: ProviderProcess, subject: str = "sub-1") -> None:
        self.provider, self.subject, self.client = provider, subject, Client()

    def begin(self, next_path: str = "") -> str:
        """Click on the button; returns the address of the provider."""
        answer = self.client.get(LOGIN, {"next": next_path} if next_path else {})
        assert answer.status_code == 302
        return str(answer.headers["Location"])

    def return_to(self, address: str) -> HttpResponse:
        """Follow the redirect of the provider."""
        parts = urlsplit(address)
        assert parts.path == CALLBACK
        answer = self.client.get(f"{parts.path}?{parts.query}")
        assert answer.status_code == 302
        return answer

    def log_in(self, next_path: str = "") -> str:
        """Log in; returns where that leads to."""
        address = self.provider.log_in(self.begin(next_path), self.subject)
        return str(self.return_to(address).headers["Location"])

    def refusal(self) -> str:
        """Try to log in; returns what the login page then says."""
        assert urlsplit(self.log_in()).path == "/admin/login/"
        return self.message()

    def message(self) -> str:
        """Return the text of the login page, and check that nobody is logged in."""
        assert "sessionid" not in self.client.cookies or not self.client.session.get("_auth_user_id")
        return self.client.get("/admin/login/").content.decode()

    @property
    def is_in(self) -> bool:
        return self.client.get(ADMIN).status_code == 200


@pytest.fixture
def ana(provider: ProviderProcess) -> Person:
    provider.set_user("sub-1", **ANA, groups=["ops", "others"])
    return Person(provider)


def groups_of(username: str) -> set[str]:
    return set(User.objects.get(username=username).groups.values_list("name", flat=True))


class TestAccess:
    def test_a_new_user_gets_the_rights_of_its_groups(self, ana: Person, written_log: Log) -> None:
        assert ana.log_in() == ADMIN
        assert ana.is_in
        user = User.objects.get(username="ana")
        assert (user.is_staff, user.is_superuser, user.has_usable_password()) == (True, False, False)
        assert (user.email, user.first_name) == ("ana@example.com", "Ana")
        assert groups_of("ana") == {"operator"}
        lines = {one["event"]: one for one in written_log() if one["logger"] == "collector.audit"}
        assert lines["login"]["by"] == "oidc"
        assert (lines["login"]["username"], lines["login"]["outcome"]) == ("ana", "accepted")
        assert lines["oidc_rights_changed"]["groups"] == ["operator"]

    def test_rights_follow_the_groups_at_each_login(self, ana: Person) -> None:
        ana.log_in()
        ana.provider.set_user("sub-1", **ANA, groups=["readers", "owners"])
        ana.log_in()
        assert groups_of("ana") == {"viewer"}
        assert User.objects.get(username="ana").is_superuser
        ana.provider.set_user("sub-1", **ANA, groups=["readers"])
        ana.log_in()
        assert not User.objects.get(username="ana").is_superuser
        assert User.objects.count() == OidcIdentity.objects.count() == 1

    def test_who_has_lost_the_last_group_is_out_everywhere(self, ana: Person) -> None:
        ana.log_in()
        elsewhere = Person(ana.provider)
        ana.provider.set_user("sub-1", **ANA, groups=["others"])
        assert "None of your groups has access" in elsewhere.refusal()
        user = User.objects.get(username="ana")
        assert (user.is_staff, user.groups.count()) == (False, 0)
        assert not ana.is_in

    @pytest.mark.parametrize("groups", [[], None, "others", ["ghosts"], [1, {"a": 1}], {"ops": True}])
    def test_without_a_group_that_counts_no_user_is_created(
        self, ana: Person, groups: Any, written_log: Log
    ) -> None:
        ana.provider.set_user("sub-1", **ANA, groups=groups)
        assert "None of your groups has access" in ana.refusal()
        (line,) = [one for one in written_log() if one["event"] == "login"]
        assert (line["reason"], line["detail"]) == ("no_role", "subject sub-1")
        assert not User.objects.exists()

    def test_a_required_group_is_needed_too(self, ana: Person, settings: Any) -> None:
        settings.OIDC_REQUIRED_GROUP = "mengla"
        assert "None of your groups has access" in ana.refusal()
        ana.provider.set_user("sub-1", **ANA, groups=["ops", "mengla"])
        assert ana.log_in() == ADMIN

    def test_groups_may_lie_in_an_object_and_have_commas(self, ana: Person, settings: Any) -> None:
        settings.OIDC_GROUPS_CLAIM = "realm_access.roles"
        settings.OIDC_GROUP_ROLES = ("cn=ops%2Cdc=example=operator",)
        ana.provider.set_user("sub-1", **ANA, realm_access={"roles": ["cn=ops,dc=example"]})
        assert ana.log_in() == ADMIN
        assert groups_of("ana") == {"operator"}

    def test_a_user_who_is_deactivated_here_stays_out(self, ana: Person) -> None:
        ana.log_in()
        User.objects.update(is_active=False)
        assert not ana.is_in
        assert "Your account is disabled" in Person(ana.provider).refusal()

    def test_two_first_logins_at_once_make_one_user(self, transactional_db: None) -> None:
        for name in ("viewer", "operator"):
            Group.objects.get_or_create(name=name)
        claims = ANA | {"iss": "https://login.example.com", "sub": "sub-1", "groups": ["ops"]}

        def log_in(_number: int) -> Any:
            try:
                return identities.user_of(claims, may_create=True).pk
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as pool, pytest.MonkeyPatch.context() as patch:
            patch.setattr("django.conf.settings.OIDC_GROUP_ROLES", ("ops=operator",))
            assert len(set(pool.map(log_in, range(4)))) == 1
        assert OidcIdentity.objects.count() == 1


class TestIdentity:
    def test_neither_a_name_nor_a_mail_address_leads_to_a_local_user(self, ana: Person, user: User) -> None:
        User.objects.update(email="ana@example.com", is_superuser=True, is_staff=True)
        ana.log_in()
        mine = User.objects.exclude(pk=user.pk).get()
        assert re.fullmatch(r"ana~[0-9a-f]{8}", mine.username)
        assert not mine.is_superuser
        assert ana.client.session["_auth_user_id"] == str(mine.pk)

    def test_another_subject_with_the_same_claims_is_another_user(self, ana: Person) -> None:
        ana.log_in()
        ana.provider.set_user("sub-2", **ANA, groups=["readers"])
        Person(ana.provider, "sub-2").log_in()
        assert User.objects.count() == 2
        assert groups_of("ana") == {"operator"}

    @pytest.mark.parametrize("name", ["", "a\x00b", "x" * 151, " ", "\u202eana"])
    def test_a_name_that_no_user_may_have_is_replaced(self, ana: Person, name: str) -> None:
        ana.provider.set_user("sub-1", groups=["ops"], preferred_username=name)
        assert ana.log_in() == ADMIN
        assert User.objects.get().username.startswith("~")

    def test_an_address_that_is_not_verified_is_refused(self, ana: Person) -> None:
        ana.provider.set_user("sub-1", **ANA | {"email_verified": False}, groups=["ops"])
        assert "has not verified your email address" in ana.refusal()
        assert not User.objects.exists()

    def test_without_creation_a_user_is_linked_first(self, ana: Person, user: User, settings: Any) -> None:
        settings.OIDC_CREATE_USERS = False
        assert "You have no account here" in ana.refusal()
        assert User.objects.count() == 1
        link = ("oidc_users", "link", "--username", "ana", "--subject", "sub-1", "--yes")
        call_command(*link)
        call_command(*link)
        assert ana.log_in() == ADMIN
        assert ana.client.session["_auth_user_id"] == str(user.pk)
        call_command("oidc_users", "list")
        with pytest.raises(SystemExit, match="2"):
            call_command("oidc_users", "link", "--username", "bea", "--subject", "sub-2", "--yes")
        User.objects.create_user("bea")
        with pytest.raises(SystemExit, match="1"):
            call_command("oidc_users", "link", "--username", "bea", "--subject", "sub-1", "--yes")


class TestRefusals:
    @pytest.mark.parametrize(
        "fault",
        [
            *("nonce", "no nonce", "audience", "several audiences", "authorized party", "issuer", "expired"),
            *("subject", "signature", "unsigned", "shared key", "no token"),
        ],
    )
    def test_a_token_that_is_not_of_this_login(self, ana: Person, fault: str, written_log: Log) -> None:
        ana.provider.set_fault(fault)
        assert "has sent an invalid response" in ana.refusal()
        assert not User.objects.exists()
        (line,) = [one for one in written_log() if one["event"] == "login"]
        assert (line["outcome"], line["reason"]) == ("refused", "invalid_answer")

    @pytest.mark.parametrize(
        ("fault", "text"),
        [("down", "does not respond"), ("other discovery", "invalid response"), ("no json", "invalid resp")],
    )
    def test_a_provider_that_does_not_work(self, ana: Person, fault: str, text: str) -> None:
        ana.provider.set_fault(fault)
        assert urlsplit(ana.begin("/admin/data/")).path == "/admin/login/"
        assert text in ana.message()

    def test_a_provider_that_cannot_be_reached(self, ana: Person, settings: Any) -> None:
        settings.OIDC_ISSUER_URL = f"http://127.0.0.1:{own_port()}"
        assert urlsplit(ana.begin()).path == "/admin/login/"
        assert "does not respond" in ana.message()

    def test_a_login_that_the_person_refuses(self, ana: Person) -> None:
        ana.return_to(f"{ana.provider.deny(ana.begin())}&state={state_of(ana.begin())}")
        assert "has refused the login" in ana.message()

    def test_the_result_of_another_browser(self, ana: Person) -> None:
        address = ana.provider.log_in(ana.begin(), "sub-1")
        stranger = Person(ana.provider)
        stranger.return_to(address)
        assert "has expired" in stranger.message()
        stranger.begin()
        stranger.return_to(address)
        assert "has expired" in stranger.message()

    def test_a_result_counts_once(self, ana: Person) -> None:
        address = ana.provider.log_in(ana.begin(), "sub-1")
        cookie = ana.client.cookies[attempt_cookie.name()].value
        ana.return_to(address)
        thief = Person(ana.provider)
        thief.client.cookies[attempt_cookie.name()] = cookie
        thief.return_to(address)
        assert "invalid response" in thief.message()

    def test_no_other_host_can_plant_an_attempt(self, ana: Person, settings: Any) -> None:
        settings.HTTPS_ONLY = True
        address = ana.provider.log_in(
            str(ana.client.get(LOGIN, secure=True).headers["Location"]), ana.subject
        )
        kept = ana.client.cookies["__Host-oidc_login"]
        parts = urlsplit(address)
        assert (kept["secure"], kept["path"], kept["domain"]) == (True, "/", "")
        answer = ana.client.get(f"{CALLBACK}?{parts.query}", secure=True)
        assert answer.headers["Location"] == ADMIN
        removed = answer.cookies["__Host-oidc_login"]
        assert (removed.value, removed["max-age"], removed["secure"], removed["path"]) == ("", 0, True, "/")

    @pytest.mark.parametrize("cookie", ["", "x", "a:b:c", "é"])
    def test_a_forged_attempt(self, ana: Person, cookie: str) -> None:
        address = ana.provider.log_in(ana.begin(), "sub-1")
        ana.client.cookies[attempt_cookie.name()] = cookie
        ana.return_to(address)
        assert "has expired" in ana.message()

    @pytest.mark.parametrize("query", ["", "?code=x", "?state=%ff&code=x", "?error=<script>&state=x"])
    def test_a_result_without_what_it_needs(self, ana: Person, query: str) -> None:
        ana.begin()
        assert ana.client.get(f"{CALLBACK}{query}").status_code == 302
        assert "has expired" in ana.message()

    def test_attempts_of_an_address_are_limited(self, ana: Person) -> None:
        begun = ana.begin()
        for _ in range(11):
            ana.begin()
            begun = ana.begin()
            ana.return_to(f"http://testserver{CALLBACK}?code=made-up&state={state_of(begun)}")
        assert "Too many login attempts" in ana.message()

    def test_no_secret_reaches_the_log(self, ana: Person, written_log: Log) -> None:
        address = ana.provider.log_in(ana.begin(), "sub-1")
        secrets = [*parse_qs(urlsplit(address).query)["code"], "the-client-secret"]
        secrets.append(ana.client.cookies[attempt_cookie.name()].value)
        ana.return_to(address)
        ana.provider.set_fault("signature")
        Person(ana.provider).refusal()
        assert not any(secret in str(line) for line in written_log() for secret in secrets)


def state_of(address: str) -> str:
    return parse_qs(urlsplit(address).query)["state"][0]


class TestPages:
    def test_without_a_provider_there_are_no_addresses_and_no_button(self, client: Client) -> None:
        assert [client.get(path).status_code for path in (LOGIN, CALLBACK)] == [404, 404]
        assert "oidc" not in client.get("/admin/login/").content.decode()

    def test_the_button_keeps_where_the_person_wanted_to_go(self, ana: Person, settings: Any) -> None:
        settings.OIDC_NAME = "Example & Co"
        page = ana.client.get("/admin/login/", {"next": "/admin/data/?a=b"}).content.decode()
        assert "Log in with Example &amp; Co" in page
        assert "/oidc/login?next=%2Fadmin%2Fdata%2F%3Fa%3Db" in page
        assert ana.log_in("/admin/data/?a=b") == "/admin/data/?a=b"

    @pytest.mark.parametrize(
        "path", ["https://evil.example.com/", "//evil.example.com", "/\\evil", "javascript:x", "x" * 5000]
    )
    def test_a_login_leads_to_no_other_server(self, ana: Person, path: str) -> None:
        assert ana.log_in(path) == ADMIN

    def test_in_chinese(self, ana: Person) -> None:
        page = ana.client.get("/admin/login/", headers={"Accept-Language": "zh-hans"}).content.decode()
        assert "单点登录" in page
        assert "single" not in page

    def test_a_session_ends_at_an_instant(self, ana: Person, settings: Any) -> None:
        settings.OIDC_SESSION_HOURS = 2
        ana.log_in()
        left = ana.client.session.get_expiry_date() - timezone.now()
        assert timedelta(hours=1.9) < left <= timedelta(hours=2)
        assert isinstance(ana.client.session["_session_expiry"], str)

    def test_passwords_can_be_switched_off(self, ana: Person, user: User, settings: Any) -> None:
        User.objects.update(is_staff=True)
        form = {"username": "ana", "password": PASSWORD}
        assert ana.client.post("/admin/login/?next=/admin/", form).status_code == 302
        ana.client.logout()
        settings.ADMIN_PASSWORD_LOGIN = False
        page = ana.client.get("/admin/login/").content.decode()
        assert 'name="password"' not in page
        assert "oidc-login" in page
        answer = ana.client.post("/admin/login/?next=/admin/", form)
        assert answer.status_code == 200
        assert "Passwords are not accepted here" in answer.content.decode()

    @pytest.mark.parametrize("path", [LOGIN, CALLBACK])
    def test_only_get(self, ana: Person, path: str) -> None:
        assert ana.client.post(path).status_code == 405

    def test_logins_of_the_api_are_as_they_were(self, ana: Person, user: User, settings: Any) -> None:
        settings.ADMIN_PASSWORD_LOGIN = False
        body = {"username": "ana", "password": PASSWORD}
        answer = ana.client.post("/api/auth/login", body, content_type="application/json")
        assert answer.status_code == 200


def test_missing_packages_are_an_error_at_the_start(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.OIDC_ISSUER_URL = "https://login.example.com"
    assert check_oidc_packages(None) == []
    monkeypatch.setattr("apps.auth.checks.find_spec", lambda _name: None)
    (problem,) = check_oidc_packages(None)
    assert "locked/oidc.txt" in str(problem.hint)
    settings.OIDC_ISSUER_URL = None
    assert check_oidc_packages(None) == []


def test_a_refusal_says_why_in_the_log_only() -> None:
    refusal = LoginRefusedError(identities.Reason.NO_ROLE, "detail")
    assert "detail" not in refusal.text


def test_a_provider_without_an_address_is_told(settings: Any) -> None:
    assert check_oidc_issuer(None) == []
    settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = "mengla", "the-client-secret"
    (problem,) = check_oidc_issuer(None)
    assert "OIDC_CLIENT_ID, OIDC_CLIENT_SECRET" in problem.msg
    assert "the-client-secret" not in problem.msg
    settings.OIDC_ISSUER_URL = "https://login.example.com"
    assert check_oidc_issuer(None) == []
