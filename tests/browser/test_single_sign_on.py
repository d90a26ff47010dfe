"""A login by the OpenID provider in a real browser, from our page to the provider's and back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.auth.oidc.process import ProviderProcess, running_provider
from tests.browser.chromium import VIEWPORT, Watched
from tests.integration.stack import Stack

LOGIN_PAGE = "/admin/login/?next=/admin/alerts/"
BUTTONS = {"en-US": "Log in with single sign-on", "zh-CN": "单点登录"}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProviderProcess]:
    with running_provider(tmp_path_factory.mktemp("provider")) as running:
        running.set_user("sub-1", preferred_username="ana", groups=["ops"])
        yield running


@pytest.fixture(scope="module")
def address(site: Stack, provider: ProviderProcess) -> str:
    """The product with a provider, beside that of the other tests; passwords are switched off."""
    variables = {
        "OIDC_ISSUER_URL": provider.url,
        "OIDC_CLIENT_ID": "mengla",
        "OIDC_CLIENT_SECRET": site.remember("the-secret-of-the-client"),
        "OIDC_GROUP_ROLES": "ops=operator",
        "ADMIN_PASSWORD_LOGIN": "false",
        "WEB_WORKERS": "1",
    }
    web = site.start_other_web("web-provider", variables)
    web.wait_until_ready()
    return web.url


@pytest.mark.parametrize("language", BUTTONS)
def test_a_person_logs_in_and_comes_where_they_wanted_to(
    address: str, provider: ProviderProcess, browser: Browser, language: str
) -> None:
    button = BUTTONS[language]
    with browser.new_context(locale=language, viewport=VIEWPORT, reduced_motion="reduce") as context:
        watched = Watched(context, address)
        page = watched.open(LOGIN_PAGE)
        assert page.locator("input[name=password]").count() == 0
        assert watched.faults == []
        page.get_by_role("link", name=button).click()
        page.wait_for_url(f"{provider.url}/**")
        page.fill("input[name=sub]", "sub-1")
        page.get_by_role("button", name="Authorize").click()
        page.wait_for_url(f"{address}/admin/alerts/")
        assert {one["name"] for one in context.cookies()} >= {"sessionid"}

        context.clear_cookies()
        page.goto(address + LOGIN_PAGE)
        page.get_by_role("link", name=button).click()
        page.wait_for_url(f"{provider.url}/**")
        provider.set_user("sub-1", preferred_username="ana", groups=[])
        page.fill("input[name=sub]", "sub-1")
        page.get_by_role("button", name="Authorize").click()
        page.wait_for_url(f"{address}/admin/login/**")
        watched.faults.clear()  # the pages of the provider are not ours
        watched.check()
        assert watched.faults == []
        provider.set_user("sub-1", preferred_username="ana", groups=["ops"])
