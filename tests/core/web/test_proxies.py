"""Whose address a request has: that of the connection, or the one that trusted proxies report."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from apps.core.web.proxies import TrustedProxyMiddleware

PROXY, CLIENT, STRANGER = "10.0.0.7", "198.51.100.5", "203.0.113.9"


@pytest.fixture(autouse=True)
def _trusted(settings: Any) -> None:
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/24"), ip_network("fd00::/8")]


def seen(address: str, forwarded_for: str | None = None, proto: str | None = None) -> tuple[str, bool]:
    """The address and the security that the rest of the product sees."""
    given = {"HTTP_X_FORWARDED_FOR": forwarded_for, "HTTP_X_FORWARDED_PROTO": proto}
    request = RequestFactory().get(
        "/", REMOTE_ADDR=address, **{name: text for name, text in given.items() if text is not None}
    )
    found: list[HttpRequest] = []
    TrustedProxyMiddleware(lambda one: found.append(one) or HttpResponse())(request)
    return found[0].META["REMOTE_ADDR"], found[0].is_secure()


@pytest.mark.parametrize(
    ("forwarded_for", "address"),
    [
        (None, PROXY),
        ("", PROXY),
        (CLIENT, CLIENT),
        (f" {CLIENT} ", CLIENT),
        (f"{STRANGER}, {CLIENT}", CLIENT),  # the client has made up the first one
        (f"{CLIENT}, 10.0.0.8", CLIENT),  # through two of our proxies
        (f"{STRANGER},{CLIENT},10.0.0.8,10.0.0.9", CLIENT),
        (f"::ffff:{CLIENT}", CLIENT),
        ("2001:db8::5, fd00::1", "2001:db8::5"),
        ("10.0.0.9", "10.0.0.9"),
        ("nonsense", PROXY),
        (f"{STRANGER}, nonsense", PROXY),
        (f"{STRANGER}, , 10.0.0.8", "10.0.0.8"),
        (f"{CLIENT}:4711", CLIENT),
        (f"{STRANGER}:1, {CLIENT}:51234, 10.0.0.8:443", CLIENT),
        (f"[::ffff:{CLIENT}]:443", CLIENT),
        ("2001:db8::5", "2001:db8::5"),
        ("[2001:db8::5]", "2001:db8::5"),
        ("[2001:db8::5]:443", "2001:db8::5"),
        ("[2001:DB8:0::5]:443 , [fd00::1]:443", "2001:db8::5"),
        ("2001:db8::5:443", "2001:db8::5:443"),  # an address, too: a port needs brackets
        (f"[{CLIENT}]:443", CLIENT),
        (f"{CLIENT}:", PROXY),
        (f"{CLIENT}:port", PROXY),
        (f"{CLIENT}:123456", PROXY),
        ("198.51.100.256:80", PROXY),
        ("[2001:db8::5", PROXY),
        ("[2001:db8::5]:", PROXY),
        ("[]:443", PROXY),
        (":443", PROXY),
        ("unknown", PROXY),
        ("_hidden", PROXY),
        (f"for={CLIENT}", PROXY),
        ("fe80::1%eth0", PROXY),
        (f"{CLIENT}, unknown, 10.0.0.8", "10.0.0.8"),
        (f",{CLIENT}", CLIENT),
        (f"{CLIENT},", PROXY),
        (f"\t{CLIENT}:80\t", CLIENT),
        ("<script>\x00", PROXY),
    ],
)
def test_a_trusted_proxy_is_believed_as_far_as_it_has_written(
    forwarded_for: str | None, address: str
) -> None:
    assert seen(PROXY, forwarded_for)[0] == address


@pytest.mark.parametrize("address", [STRANGER, "127.0.0.1", "", "nonsense", "10.0.1.7"])
def test_no_other_address_is_trusted(address: str) -> None:
    assert seen(address, CLIENT, "https") == (address, False)


def test_without_trusted_proxies_no_address_is(settings: Any) -> None:
    settings.TRUSTED_PROXIES = []
    assert seen(PROXY, CLIENT, "https") == (PROXY, False)


@pytest.mark.parametrize(
    ("proto", "is_secure"),
    [
        ("https", True),
        ("HTTPS", True),
        ("http, https", True),
        ("https, http", False),
        ("http", False),
        ("", False),
    ],
)
def test_the_scheme_is_what_the_nearest_proxy_says(proto: str, is_secure: bool) -> None:
    assert seen(PROXY, CLIENT, proto) == (CLIENT, is_secure)


@pytest.mark.django_db
@pytest.mark.mongo
@pytest.mark.redis
class TestLogins:
    def test_clients_behind_a_proxy_do_not_share_the_limit(
        self, client: Client, written_log: Callable[[], list[dict[str, Any]]]
    ) -> None:
        def log_in(name: str, address: str) -> int:
            body = {"username": name, "password": "a wrong password"}
            answer = client.post(
                "/api/auth/login",
                body,
                content_type="application/json",
                REMOTE_ADDR=PROXY,
                HTTP_X_FORWARDED_FOR=address,
            )
            return answer.status_code

        assert [log_in(f"user-{n}", f"192.0.2.{n}, {STRANGER}") for n in range(11)] == [401] * 10 + [429]
        assert log_in("somebody", CLIENT) == 401
        form = {"username": "somebody", "password": "a wrong password"}
        page = client.post("/admin/login/", form, REMOTE_ADDR=PROXY, HTTP_X_FORWARDED_FOR=STRANGER)
        assert page.status_code == 429
        logins = [line["address"] for line in written_log() if line["event"] == "login"]
        assert logins == [STRANGER] * 11 + [CLIENT, STRANGER]
        requests = [line["address"] for line in written_log() if line["event"] == "request"]
        assert requests == logins

    def test_made_up_addresses_do_not_help_against_the_limit(self, client: Client) -> None:
        statuses = [
            client.post(
                "/api/auth/login",
                {"username": f"user-{n}", "password": "a wrong password"},
                content_type="application/json",
                REMOTE_ADDR=STRANGER,
                HTTP_X_FORWARDED_FOR=f"192.0.2.{n}",
            ).status_code
            for n in range(11)
        ]
        assert statuses == [401] * 10 + [429]


@pytest.mark.parametrize("forwarded_for", [None, CLIENT, "127.0.0.1"])
def test_metrics_ask_everybody_for_the_token(
    client: Client, settings: Any, forwarded_for: str | None
) -> None:
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.1/32")]
    header = {} if forwarded_for is None else {"HTTP_X_FORWARDED_FOR": forwarded_for}
    assert client.get("/metrics", REMOTE_ADDR="127.0.0.1", **header).status_code == 401
