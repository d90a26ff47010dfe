"""Each way of deploying sets all that production requires, and the checks have nothing to say.

That of the image and of Compose is checked with the files of the image, in test_image.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.deploy.files import (
    FILLED,
    check_in_production,
    image_environment,
    manifests,
    unit_lines,
)
from tests.programs import ROOT

SERVERS = {
    "MONGO_URI": "mongodb://mengla:b2@127.0.0.1:27017/?replicaSet=rs0&authSource=admin",
    "REDIS_URI": "redis://:c3@127.0.0.1:6379/0",
}
ADDRESSES = {
    "ALLOWED_HOSTS": "mengla.example.com",
    "APP_BASEURL": "https://mengla.example.com",
    "CSRF_TRUSTED_ORIGINS": "https://mengla.example.com",
    "TRUSTED_PROXIES": "127.0.0.1",
}


def filled_template() -> str:
    """The template of variables, filled in as deploy/README.md says it for systemd."""
    text = (ROOT / ".env.example").read_text()
    for name, value in {**SERVERS, **ADDRESSES, "SECRET_KEY": "", "WEBHOOK_SECRET": ""}.items():
        text, count = re.subn(rf"(?m)^#?{name}=.*$", f"{name}={value or FILLED[name]}", text)
        assert count == 1, name
    return text


@pytest.mark.slow
def test_systemd(tmp_path: Path) -> None:
    path = tmp_path / "mengla.env"
    path.write_text(filled_template())
    pairs = [pair for line in unit_lines("mengla-web.service", "Environment") for pair in line.split()]
    environment = dict(pair.split("=", 1) for pair in pairs)
    assert check_in_production(environment | {"ENV_FILE": str(path)}) == ""


@pytest.mark.slow
def test_kubernetes(tmp_path: Path) -> None:
    secrets = manifests()["Secret", "mengla"]["stringData"]
    for name, value in secrets.items():
        (tmp_path / name).write_text(value or FILLED.get(name, "a-secret-of-some-length"))
    given = manifests()["ConfigMap", "mengla"]["data"]
    files = {
        name: value.replace("/run/secrets/mengla", str(tmp_path))
        for name, value in given.items()
        if name.endswith("_FILE")
    }
    place = {"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    assert check_in_production(image_environment() | given | files | place) == ""
