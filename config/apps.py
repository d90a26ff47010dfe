"""AppConfigs that give contrib apps and django-q2 an ObjectId primary key, as MongoDB needs."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig
from django.contrib.auth.apps import AuthConfig
from django.contrib.contenttypes.apps import ContentTypesConfig
from django_q.apps import DjangoQConfig

_OBJECT_ID = "django_mongodb_backend.fields.ObjectIdAutoField"


class MongoAdminConfig(AdminConfig):
    """The Django admin with ObjectId keys, and with our site."""

    default_site = "apps.admin.site.CollectorAdminSite"
    default_auto_field = _OBJECT_ID


class MongoAuthConfig(AuthConfig):
    """Django's users and groups with ObjectId keys."""

    default_auto_field = _OBJECT_ID


class MongoContentTypesConfig(ContentTypesConfig):
    """Content types with ObjectId keys."""

    default_auto_field = _OBJECT_ID


class MongoDjangoQConfig(DjangoQConfig):  # type: ignore[misc]
    """django-q2's schedules and task results with ObjectId keys."""

    default_auto_field = _OBJECT_ID
