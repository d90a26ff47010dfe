"""Indexes for the lists of completed runs with and without failures, which the ORM cannot declare.

The number of failures is part of the totals, so the lists are right for runs of earlier versions, too.
"""

from django.db import migrations

_ORDER = [("status", 1), ("started_at", -1), ("_id", -1)]
_INDEXES = {
    "sync_task_without_failures": {"status": "COMPLETED", "totals.failed": 0},
    "sync_task_with_failures": {"status": "COMPLETED", "totals.failed": {"$gt": 0}},
}


def create_indexes(apps, schema_editor):
    runs = schema_editor.connection.get_collection("sync_tasks")
    for name, condition in _INDEXES.items():
        runs.create_index(_ORDER, name=name, partialFilterExpression=condition)


def drop_indexes(apps, schema_editor):
    runs = schema_editor.connection.get_collection("sync_tasks")
    for name in _INDEXES:
        runs.drop_index(name)


class Migration(migrations.Migration):
    dependencies = [("sync_tasks", "0004_indexes_of_lists")]

    operations = [migrations.RunPython(create_indexes, drop_indexes)]
