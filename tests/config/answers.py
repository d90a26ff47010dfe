"""Prints what the product answers with the settings of this process, which needs no server.

The first argument is a JSON list of requests, each an object of WSGI variables; the answers are a JSON list.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def answer(request: dict[str, str]) -> dict[str, Any]:
    from django.test import Client

    variables = dict(request)
    method, path = variables.pop("method", "GET"), variables.pop("path")
    client = Client(raise_request_exception=False)
    response = client.generic(method, path, **variables)  # type: ignore[arg-type]
    return {
        "status": response.status_code,
        "headers": dict(response.headers),
        "cookies": [cookie.OutputString() for cookie in response.cookies.values()],
    }


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django

    django.setup()
    sys.stdout.write(json.dumps([answer(one) for one in json.loads(sys.argv[1])]))
