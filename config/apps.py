"""AppConfigs that give contrib apps and django-q2 the ObjectId primary keys that MongoDB needs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.contrib.auth.apps import AuthConfig
from django.contrib.contenttypes.apps import ContentTypesConfig
from django.core import checks
from django_q.apps import DjangoQConfig

_OBJECT_ID = "django_mongodb_backend.fields.ObjectIdAutoField"


class MongoAdminConfig(SimpleAdminConfig):
    """The Django admin with ObjectId keys and our admin site.

    The URL configuration and the system checks load its pages, so a process that uses neither does not.
    """

    default_site = "apps.admin.site.CollectorAdminSite"
    default_auto_field = _OBJECT_ID

    def ready(self) -> None:
        """Register Django's system checks of the admin."""
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(_check_admin_pages, checks.Tags.admin)


def _check_admin_pages(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """Load the admin pages, then check them."""
    admin.autodiscover()
    return check_admin_app(app_configs, **kwargs)


class MongoAuthConfig(AuthConfig):
    """Django's users and groups with ObjectId keys."""

    default_auto_field = _OBJECT_ID


class MongoContentTypesConfig(ContentTypesConfig):
    """Content types with ObjectId keys."""

    default_auto_field = _OBJECT_ID


class MongoDjangoQConfig(DjangoQConfig):  # type: ignore[misc]
    """django-q2's schedules and task results with ObjectId keys."""

    default_auto_field = _OBJECT_ID
