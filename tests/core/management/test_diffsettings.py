"""`manage.py diffsettings`: what it prints has no secret in it."""

from __future__ import annotations

import dataclasses
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

SECRET = 'it\'s \\ a "s3cret" \u840c'


@pytest.mark.parametrize("output", ["hash", "unified"])
def test_secrets_are_masked_wherever_they_stand(settings: Any, output: str) -> None:
    environment = dataclasses.replace(settings.ENVIRONMENT, METRICS_TOKEN=SECRET)
    settings.ENVIRONMENT = environment
    settings.METRICS_TOKEN = SECRET
    settings.OTHER_SERVERS = {"default": {"HOST": environment.MONGO_URI, "NAME": "shop"}}
    call_command("diffsettings", output=output, stdout=(out := StringIO()))
    text = out.getvalue()
    assert "METRICS_TOKEN = '********'" in text
    assert "{'default': {'HOST': '********', 'NAME': 'shop'}}" in text
    assert "s3cret" not in text
    for one in dataclasses.fields(environment):
        value = getattr(environment, one.name)
        assert one.repr or not value or str(value) not in text, one.name
