"""Our copies of what the theme would write into its pages itself."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.test import Client, RequestFactory
from unfold.settings import CONFIG_DEFAULTS
from unfold.utils import convert_color

from apps.core.web.page_headers import PageHeadersMiddleware


def test_the_palette_has_the_colours_of_the_theme() -> None:
    palette = (settings.BASE_DIR / "apps/core/static/collector/palette.css").read_text()
    for name, weights in CONFIG_DEFAULTS["COLORS"].items():
        for weight, value in weights.items():
            assert f"--color-{name}-{weight}: {convert_color(value)};" in palette


def test_no_page_has_a_style_element_of_the_theme(client: Client) -> None:
    page = client.get("/admin/login/").content.decode()
    assert "collector/palette.css" in page
    assert "<style" not in page


def test_the_error_pages_for_developers_have_no_policy(settings: Any) -> None:
    from django.http import HttpResponse

    for debug, status, has_policy in ((True, 500, False), (True, 200, True), (False, 500, True)):
        settings.DEBUG = debug
        middleware = PageHeadersMiddleware(lambda _request, status=status: HttpResponse(status=status))
        response = middleware(RequestFactory().get("/"))
        assert ("Content-Security-Policy" in response.headers) == has_policy
