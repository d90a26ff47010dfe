"""`manage.py diagnose` says what is wrong with the provider before a person meets it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group

from apps.core import process_state
from tests.auth.oidc.process import ProviderProcess
from tests.mengla.commands.diagnosis import checks_of
from tests.mengla.commands.support import run

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis, pytest.mark.slow]


def logins() -> dict[str, Any]:
    process_state.forget_all()  # each command is a process of its own
    return checks_of(run("diagnose", "--json"))["logins"]


def test_groups_that_do_not_exist_are_named(provider: ProviderProcess, settings: Any) -> None:
    Group.objects.create(name="viewer")
    found = logins()
    assert not found["is_ok"]
    assert found["detail"] == "OIDC_GROUP_ROLES gives groups that do not exist: nowhere, operator."
    settings.OIDC_GROUP_ROLES = ("readers=viewer", "owners=superuser")
    found = logins()
    assert (found["is_ok"], found["detail"]) == (True, provider.url)


@pytest.mark.parametrize("fault", ["down", "other discovery", "no json"])
def test_a_provider_that_does_not_describe_itself_is_told(provider: ProviderProcess, fault: str) -> None:
    provider.set_fault(fault)
    found = logins()
    assert (found["is_ok"], found["advice"]) == (False, "Check OIDC_ISSUER_URL, and the provider's own log.")
    assert found["detail"].startswith("The login service ")


def test_without_a_provider_there_are_passwords() -> None:
    found = logins()
    assert (found["is_ok"], found["detail"]) == (True, "passwords")
