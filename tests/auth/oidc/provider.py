"""An OpenID provider as a process, with PKCE, and with faults: ``python -m tests.auth.oidc.provider PORT``.

It is the package oidc-provider-mock. ``PUT /users/SUB`` gives a user its claims; ``PUT /fault`` names what is
wrong with its answers from then on.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import flask
import oidc_provider_mock
import werkzeug.serving
from authlib.jose import JsonWebKey, jwt

Payload = dict[str, Any]

_CHANGES: dict[str, Callable[[Payload], Payload]] = {
    "nonce": lambda claims: claims | {"nonce": "another"},
    "no nonce": lambda claims: {name: value for name, value in claims.items() if name != "nonce"},
    "audience": lambda claims: claims | {"aud": ["another-client"]},
    "several audiences": lambda claims: claims | {"aud": [*_listed(claims["aud"]), "another-client"]},
    "authorized party": lambda claims: claims | {"azp": "another-client"},
    "issuer": lambda claims: claims | {"iss": "http://another.example.com"},
    "expired": lambda claims: claims | {"exp": int(time.time()) - 3600},
    "subject": lambda claims: claims | {"sub": ""},
}


def _listed(audience: Any) -> list[str]:
    return audience if isinstance(audience, list) else [audience]


def make_app() -> flask.Flask:
    """Return the provider."""
    app = oidc_provider_mock.app(require_nonce=True)
    fault = {"name": ""}
    challenges: dict[str, str] = {}

    @app.put("/fault")
    def set_fault() -> tuple[str, int]:
        fault["name"] = flask.request.get_json()
        return "", 204

    @app.before_request
    def check() -> tuple[str, int] | None:
        request = flask.request
        if fault["name"] == "down" and not request.path.startswith("/fault"):
            return "", 503
        if request.path == "/oauth2/token":
            digest = hashlib.sha256(request.form.get("code_verifier", "").encode()).digest()
            given = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if challenges.pop(request.form.get("code", ""), None) != given:
                return json.dumps({"error": "invalid_grant"}), 400
        return None

    @app.after_request
    def change(response: flask.Response) -> flask.Response:
        request = flask.request
        if request.path == "/oauth2/authorize" and response.status_code == 302:
            code = parse_qs(urlsplit(response.headers["Location"]).query).get("code", [""])[0]
            if request.args.get("code_challenge_method") == "S256":
                challenges[code] = request.args["code_challenge"]
        elif request.path == "/oauth2/token" and response.status_code == 200:
            response.set_data(json.dumps(_spoilt(response.get_json(), fault["name"])))
        elif request.path.startswith("/.well-known") and fault["name"] == "other discovery":
            response.set_data(json.dumps(response.get_json() | {"issuer": "http://another.example.com"}))
        elif request.path.startswith("/.well-known") and fault["name"] == "no json":
            response.set_data("<html>")
        return response

    return app


def _spoilt(tokens: Payload, fault: str) -> Payload:
    _header, payload, _signature = tokens["id_token"].split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    key = flask.g.oidc_provider_mock_storage.jwk
    if fault == "no token":
        return {name: value for name, value in tokens.items() if name != "id_token"}
    if fault == "unsigned":
        none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
        return tokens | {"id_token": f"{none}.{payload}."}
    if fault == "signature":
        key = JsonWebKey.generate_key("RSA", 2048, {"kid": key.as_dict()["kid"]}, is_private=True)
    elif fault == "shared key":
        return tokens | {"id_token": jwt.encode({"alg": "HS256"}, claims, b"the-client-secret").decode()}
    elif fault not in _CHANGES:
        return tokens
    changed = _CHANGES.get(fault, dict)(claims)
    return tokens | {
        "id_token": jwt.encode({"alg": "RS256", "kid": key.as_dict()["kid"]}, changed, key).decode()
    }


if __name__ == "__main__":
    werkzeug.serving.make_server("127.0.0.1", int(sys.argv[1]), make_app(), threaded=True).serve_forever()
