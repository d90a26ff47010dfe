"""Indexes for the models of Django and django-q2, which only a migration of this product can add.

Unique indexes are partial on this backend, and MongoDB does not use them for reads: so each key that is not
``_id`` has a plain index, too.
"""

from django.db import migrations

_INDEXES = {
    "django_session": {"session_by_key": [("session_key", 1)]},
    "auth_user": {"user_by_name": [("username", 1)]},
    "django_q_task": {
        "task_by_id": [("id", 1)],
        "task_by_func": [("func", 1), ("success", 1), ("stopped", -1), ("id", -1)],
        "task_by_name": [("name", 1), ("success", 1), ("stopped", -1), ("id", -1)],
        "task_newest": [("success", 1), ("stopped", -1), ("id", -1)],
    },
    "django_admin_log": {
        "log_of_object": [("object_id", 1), ("content_type_id", 1), ("action_time", 1)],
        "log_of_user": [("user_id", 1), ("_id", -1)],
    },
}


def create_indexes(apps, schema_editor):
    for collection, indexes in _INDEXES.items():
        for name, keys in indexes.items():
            schema_editor.connection.get_collection(collection).create_index(keys, name=name)


def drop_indexes(apps, schema_editor):
    for collection, indexes in _INDEXES.items():
        for name in indexes:
            schema_editor.connection.get_collection(collection).drop_index(name)


class Migration(migrations.Migration):
    dependencies = [
        ("admin", "0001_initial"),
        ("auth", "0001_initial"),
        ("django_q", "0001_initial"),
        ("sessions", "0001_initial"),
    ]

    operations = [migrations.RunPython(create_indexes, drop_indexes)]
