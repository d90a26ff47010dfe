"""The protocol with the provider: the authorization code flow of OpenID Connect, with PKCE, state and nonce.

Nothing that the provider or the browser sends is believed before it is checked: the state belongs to this
browser, and the signature, issuer, audience, lifetime and nonce of the ID token are those of this login.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from cachetools import TTLCache
from django.conf import settings

from apps.auth.oidc.refusals import LoginRefusedError, Reason
from apps.core import process_state
from apps.core.storage.clock import unix_now

TIMEOUT_SECONDS = 5.0
CACHED_SECONDS = 3600
# After a failure the provider is not asked again for this time, so that logins do not occupy web threads.
FAILURE_CACHED_SECONDS = 2
LEEWAY_SECONDS = 60  # of the provider's clock
MAX_SUBJECT_LENGTH = 255
_MAX_ANSWER_BYTES = 1024 * 1024
# Signatures of a key pair only: with the others, whoever can verify a token can also make one.
_ALGORITHMS = [f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)]
_KEY_TYPES = frozenset({"RSA", "EC"})
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")

_cached: TTLCache[str, dict[str, Any]] = TTLCache(4, CACHED_SECONDS)
_failures: TTLCache[str, bool] = TTLCache(4, FAILURE_CACHED_SECONDS)
_lock = threading.Lock()
process_state.register(_cached.clear)
process_state.register(_failures.clear)

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One login that has begun: what only the browser that began it knows."""

    state: str
    nonce: str
    code_verifier: str
    next_path: str

    @classmethod
    def new(cls, next_path: str) -> Attempt:
        """Return an attempt with new random values."""
        return cls(
            state=secrets.token_urlsafe(24),
            nonce=secrets.token_urlsafe(24),
            code_verifier=secrets.token_urlsafe(48),
            next_path=next_path,
        )


def authorization_url(attempt: Attempt, *, redirect_uri: str) -> str:
    """Return the address of the provider at which the user logs in.

    :raises LoginRefusedError: when the provider does not describe itself properly.
    """
    challenge = hashlib.sha256(attempt.code_verifier.encode()).digest()
    parameters = {
        "response_type": "code",
        "client_id": settings.OIDC_CLIENT_ID,
        "redirect_uri": redirect_uri,
        "scope": settings.OIDC_SCOPES,
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    address = str(_metadata()["authorization_endpoint"])
    return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(parameters)}"


def check() -> None:
    """Check that the provider describes itself and publishes keys.

    :raises LoginRefusedError: when it does not.
    """
    _keys(_metadata())


def claims_of(attempt: Attempt, *, code: str, redirect_uri: str, issuer: str | None = None) -> Claims:
    """Exchange the code for the ID token, and return its claims, with those of the user if groups lack.

    :param issuer: the issuer that the redirect names, if it names one.
    :raises LoginRefusedError: when the provider does not respond, or anything in its answers is wrong.
    """
    metadata = _metadata()
    if issuer is not None and issuer != metadata["issuer"]:
        raise LoginRefusedError(Reason.INVALID_ANSWER, "the redirect names another issuer")
    tokens = _exchange(metadata, attempt, code=code, redirect_uri=redirect_uri)
    claims = _verified(tokens.get("id_token"), metadata, nonce=attempt.nonce)
    root = settings.OIDC_GROUPS_CLAIM.partition(".")[0]
    if {settings.OIDC_GROUPS_CLAIM, root} & claims.keys() or "userinfo_endpoint" not in metadata:
        return claims
    headers = {"Authorization": f"Bearer {tokens.get('access_token', '')}"}
    user = _request("GET", metadata["userinfo_endpoint"], what="user", headers=headers)
    if user.get("sub") != claims["sub"]:
        raise LoginRefusedError(Reason.INVALID_ANSWER, "the user is not that of the ID token")
    return user | claims


def _exchange(
    metadata: Mapping[str, Any], attempt: Attempt, *, code: str, redirect_uri: str
) -> dict[str, Any]:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": attempt.code_verifier,
        "client_id": settings.OIDC_CLIENT_ID,
    }
    headers = {}
    methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    if settings.OIDC_CLIENT_SECRET and "client_secret_basic" in methods:
        # RFC 6749, 2.3.1: both are encoded like the fields of a form.
        pair = f"{quote_plus(settings.OIDC_CLIENT_ID)}:{quote_plus(settings.OIDC_CLIENT_SECRET)}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    elif settings.OIDC_CLIENT_SECRET:
        form["client_secret"] = settings.OIDC_CLIENT_SECRET
    return _request("POST", metadata["token_endpoint"], what="token", headers=headers, form=form)


def _verified(id_token: object, metadata: Mapping[str, Any], *, nonce: str) -> dict[str, Any]:
    """Return the claims of an ID token of this login.

    :raises LoginRefusedError: when it is not one.
    """
    from joserfc.errors import JoseError  # only a login needs it, and it loads much
    from joserfc.jwt import JWTClaimsRegistry

    if not isinstance(id_token, str):
        raise LoginRefusedError(Reason.INVALID_ANSWER, "there is no ID token")
    client = settings.OIDC_CLIENT_ID
    rules = JWTClaimsRegistry(
        now=int(unix_now()),
        leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": metadata["issuer"]},
        aud={"essential": True, "value": client},
        nonce={"essential": True, "value": nonce},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
    )
    try:
        claims = _decoded(id_token, metadata)
        rules.validate(claims)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise LoginRefusedError(Reason.INVALID_ANSWER, f"ID token: {type(error).__name__}") from error
    audience, subject = claims["aud"], claims["sub"]
    is_for_several = isinstance(audience, list) and len(audience) > 1
    if claims.get("azp", "" if is_for_several else client) != client:
        raise LoginRefusedError(Reason.INVALID_ANSWER, "ID token: it is for another client")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_LENGTH:
        raise LoginRefusedError(Reason.INVALID_ANSWER, "ID token: no valid subject")
    return claims


def _decoded(id_token: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a token with a valid signature; the keys are read anew if none fits."""
    from joserfc import jwt
    from joserfc.errors import JoseError

    try:
        return dict(jwt.decode(id_token, _keys(metadata), algorithms=_ALGORITHMS).claims)
    except (JoseError, ValueError):
        # The provider may have changed its keys since they were cached.
        with _lock:
            _cached.pop(metadata["jwks_uri"], None)
        return dict(jwt.decode(id_token, _keys(metadata), algorithms=_ALGORITHMS).claims)


def _keys(metadata: Mapping[str, Any]) -> Any:
    from joserfc.jwk import KeySet

    keys = _cached_answer(metadata["jwks_uri"], what="keys").get("keys")
    usable = [
        key
        for key in (keys if isinstance(keys, list) else [])
        if isinstance(key, dict) and key.get("kty") in _KEY_TYPES and key.get("use", "sig") == "sig"
    ]
    if not usable:
        raise LoginRefusedError(Reason.INVALID_ANSWER, "keys: none for signatures")
    return KeySet.import_key_set({"keys": usable})


def _metadata() -> dict[str, Any]:
    """Return what the provider says of itself.

    :raises LoginRefusedError: when it does not respond, or is not the configured one.
    """
    issuer = str(settings.OIDC_ISSUER_URL)
    metadata = _cached_answer(f"{issuer}/.well-known/openid-configuration", what="discovery")
    # The configured address has no slash at its end, that of the provider may have one.
    if str(metadata.get("issuer", "")).rstrip("/") != issuer:
        raise LoginRefusedError(Reason.INVALID_ANSWER, "discovery: it is of another issuer")
    scheme = urlsplit(issuer).scheme
    for name in (*_ENDPOINTS, *({"userinfo_endpoint"} & metadata.keys())):
        if urlsplit(str(metadata.get(name, ""))).scheme not in {scheme, "https"}:
            raise LoginRefusedError(Reason.INVALID_ANSWER, f"discovery: no valid {name}")
    return metadata


def _cached_answer(url: str, *, what: str) -> dict[str, Any]:
    with _lock:
        known, has_failed = _cached.get(url), url in _failures
    if known is not None:
        return known
    if has_failed:
        raise LoginRefusedError(Reason.UNAVAILABLE, f"{what}: it has just failed")
    try:
        answer = _request("GET", url, what=what)
    except LoginRefusedError:
        with _lock:
            _failures[url] = True
        raise
    with _lock:
        _cached[url] = answer
    return answer


def _request(
    method: str,
    url: str,
    *,
    what: str,
    headers: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Send one request to the provider, and return the JSON object of its answer.

    :raises LoginRefusedError: when it does not respond in time, or with anything else.
    """
    import httpx  # only a login needs it

    try:
        response = httpx.request(
            method, url, headers=headers, data=form, timeout=TIMEOUT_SECONDS, trust_env=False
        )
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise LoginRefusedError(Reason.UNAVAILABLE, f"{what}: {type(error).__name__}") from None
    if response.is_server_error:
        raise LoginRefusedError(Reason.UNAVAILABLE, f"{what}: status {response.status_code}")
    if response.status_code != httpx.codes.OK or len(response.content) > _MAX_ANSWER_BYTES:
        raise LoginRefusedError(Reason.INVALID_ANSWER, f"{what}: status {response.status_code}")
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise LoginRefusedError(Reason.INVALID_ANSWER, f"{what}: no JSON object")
    return answer
