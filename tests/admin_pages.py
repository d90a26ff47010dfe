"""The pages of the admin, for tests that go through all of them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin


def model_admins() -> list[admin.ModelAdmin[Any]]:
    """Return the admin of every model; they are loaded first, as a process with addresses would."""
    admin.autodiscover()
    return list(admin.site._registry.values())
