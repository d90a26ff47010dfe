"""The permissions that belong to no document, and the groups viewer, analyst, operator and admin.

The groups belong to the operators from then on: this runs once, and changes no group that exists.
"""

import hashlib

from bson import ObjectId
from django.apps import apps as installed_apps
from django.contrib.auth.management import create_permissions
from django.db import migrations, models

_PRODUCT = ("mengla", "sync_tasks", "categories", "panels", "django_q", "collector_admin")
_ACCESS = ("collector_auth", "auth")
_HISTORY = "admin"
_COLLECT = "mengla.change_collection"
_OPERATE = {
    _COLLECT,
    "sync_tasks.change_synctask",
    "django_q.change_schedule",
    "collector_admin.change_alert",
    "collector_admin.clear_caches",
    "collector_admin.reset_breaker",
    "collector_admin.cancel_all",
}
_ANALYSE = {
    "mengla.view_record",
    "mengla.view_collection",
    "sync_tasks.view_synctask",
    "categories.view_category",
    _COLLECT,
}


def create_roles(apps, schema_editor):
    every = _every_permission(apps)
    viewed = {name for name in every if ".view_" in name and name.partition(".")[0] not in _ACCESS}
    _create(apps, "viewer", viewed, every)
    _create(apps, "analyst", _ANALYSE, every)
    _create(apps, "operator", viewed | _OPERATE, every)
    _create(apps, "admin", set(every), every)


def _every_permission(apps):
    """Return the keys of the permissions by name; Django creates them after the migrations, so they are
    created here.
    """
    labels = (*_PRODUCT, *_ACCESS, _HISTORY)
    for label in labels:
        create_permissions(installed_apps.get_app_config(label), verbosity=0, apps=apps)
    Permission = apps.get_model("auth", "Permission")
    found = Permission.objects.filter(content_type__app_label__in=labels)
    rows = found.values_list("content_type__app_label", "codename", "pk")
    return {f"{label}.{codename}": key for label, codename, key in rows}


def _create(apps, name, permissions, every):
    Group = apps.get_model("auth", "Group")
    if Group.objects.filter(name=name).exists():
        return  # of this installation's operators
    # Its permissions first, under a key that each try finds again: a migration that is killed in between
    # leaves no group without them.
    key = ObjectId(hashlib.sha256(f"role:{name}".encode()).digest()[:12])
    Link = Group.permissions.through
    wanted = {every[permission] for permission in permissions}
    missing = wanted - set(Link.objects.filter(group_id=key).values_list("permission_id", flat=True))
    Link.objects.bulk_create(Link(group_id=key, permission_id=one) for one in missing)
    Group.objects.create(pk=key, name=name)


class Migration(migrations.Migration):
    dependencies = [
        ("collector_admin", "0006_waiting_notices"),
        ("admin", "0001_initial"),
        ("auth", "0001_initial"),
        ("contenttypes", "0001_initial"),
        ("categories", "0001_initial"),
        ("collector_auth", "0001_initial"),
        ("django_q", "0001_initial"),
        ("mengla", "0001_initial"),
        ("panels", "0001_initial"),
        ("sync_tasks", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Installation",
            fields=[
                ("id", models.CharField(max_length=1, primary_key=True, serialize=False)),
            ],
            options={
                "verbose_name": "installation",
                "verbose_name_plural": "installation",
                "permissions": (
                    ("clear_caches", "Can clear the caches"),
                    ("reset_breaker", "Can reset the circuit breaker"),
                    ("cancel_all", "Can cancel all sync tasks and collections"),
                    ("purge_data", "Can delete collected data and duplicates"),
                ),
                "default_permissions": (),
                "managed": False,
            },
        ),
        migrations.RunPython(create_roles, migrations.RunPython.noop),
    ]
