"""The addresses of a login by the provider: they begin it, and receive its result."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from hmac import compare_digest

from django.conf import settings
from django.contrib import auth, messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.auth.oidc import attempt_cookie, identities, provider
from apps.auth.oidc.audit import log_login
from apps.auth.oidc.refusals import LoginRefusedError, Reason
from apps.auth.passwords.throttle import count_address_attempt
from apps.core.errors import RateLimited

BACKEND = "django.contrib.auth.backends.ModelBackend"
SESSION_MARK = "oidc"  # in sessions that the provider has started
_ERROR_CODE = re.compile(r"[a-z_]{1,60}")
_MAX_CODE_LENGTH = 4096
_MAX_NEXT_LENGTH = 1000  # a cookie holds 4 KB

View = Callable[[HttpRequest], HttpResponse]


def _if_configured(view: View) -> View:
    @wraps(view)
    def checked(request: HttpRequest) -> HttpResponse:
        if not settings.OIDC_ISSUER_URL:
            raise Http404
        return view(request)

    return checked


@never_cache
@require_GET
@_if_configured
def begin(request: HttpRequest) -> HttpResponse:
    """Redirect to the provider."""
    attempt = provider.Attempt.new(_own_path(request, request.GET.get("next", "")))
    try:
        address = provider.authorization_url(attempt, redirect_uri=_redirect_uri(request))
    except LoginRefusedError as refusal:
        return _refused(request, refusal, attempt)
    response = HttpResponseRedirect(address)
    attempt_cookie.keep(response, attempt)
    return response


@never_cache
@require_GET
@_if_configured
def callback(request: HttpRequest) -> HttpResponse:
    """Receive the result of the provider, and log the user in."""
    attempt = attempt_cookie.read(request)
    try:
        user = _user_of(request, attempt)
    except LoginRefusedError as refusal:
        response = _refused(request, refusal, attempt)
    except RateLimited as error:
        messages.error(request, error.message)
        response = HttpResponseRedirect(reverse("admin:login"))
    else:
        auth.login(request, user, backend=BACKEND)
        # An instant, not a time from the last use: then the provider is asked again, whatever happens here.
        request.session.set_expiry(timezone.now() + timedelta(hours=settings.OIDC_SESSION_HOURS))
        request.session[SESSION_MARK] = True
        log_login(request, username=user.get_username())
        response = HttpResponseRedirect(_own_path(request, attempt.next_path if attempt else ""))
    attempt_cookie.forget(response)
    return response


def _user_of(request: HttpRequest, attempt: provider.Attempt | None) -> User:
    """Return the user that the provider has logged in.

    :raises LoginRefusedError: when it has not, or the user has no access.
    :raises RateLimited: when the address has no attempt left.
    """
    state, code = request.GET.get("state", ""), request.GET.get("code", "")
    if attempt is None or not compare_digest(state.encode("utf-8", "replace"), attempt.state.encode()):
        raise LoginRefusedError(Reason.EXPIRED)
    if "error" in request.GET:
        error = request.GET["error"]
        raise LoginRefusedError(Reason.DENIED, error if _ERROR_CODE.fullmatch(error) else "an error")
    if not 0 < len(code) <= _MAX_CODE_LENGTH:
        raise LoginRefusedError(Reason.INVALID_ANSWER, "the redirect has no code")
    count_address_attempt(request.META.get("REMOTE_ADDR", ""))
    claims = provider.claims_of(
        attempt, code=code, redirect_uri=_redirect_uri(request), issuer=request.GET.get("iss")
    )
    return identities.user_of(claims, may_create=settings.OIDC_CREATE_USERS)


def _refused(
    request: HttpRequest, refusal: LoginRefusedError, attempt: provider.Attempt | None
) -> HttpResponse:
    """Redirect to the login page, which shows the reason."""
    log_login(request, refusal=refusal)
    messages.error(request, refusal.text)
    query = {"next": _own_path(request, attempt.next_path)} if attempt is not None else {}
    return HttpResponseRedirect(f"{reverse('admin:login')}{'?' if query else ''}{urlencode(query)}")


def _redirect_uri(request: HttpRequest) -> str:
    return request.build_absolute_uri(reverse("collector_oidc:callback"))


def _own_path(request: HttpRequest, path: str) -> str:
    """Return the address if it is one of this server, else that of the dashboard."""
    is_own = url_has_allowed_host_and_scheme(
        path, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return path if is_own and len(path) <= _MAX_NEXT_LENGTH else reverse("admin:index")
