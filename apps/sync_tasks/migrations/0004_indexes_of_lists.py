"""Indexes that have the order of the lists of runs, and one for runs that have ended without totals."""

from django.db import migrations, models

_ADDED = {
    "sync_task_by_status": ["status", "-started_at", "-id"],
    "sync_task_by_task": ["task_id", "-started_at", "-id"],
    "sync_task_by_trigger": ["trigger", "-started_at", "-id"],
    "sync_task_unsettled": ["totals", "started_at"],
}
# After the new ones, which begin with the same fields: no query is without an index meanwhile.
_REMOVED = ("sync_task_status", "sync_task_task")


class Migration(migrations.Migration):
    dependencies = [("sync_tasks", "0003_error_message_parts")]

    operations = [
        *(
            migrations.AddIndex(model_name="synctask", index=models.Index(fields=fields, name=name))
            for name, fields in _ADDED.items()
        ),
        *(migrations.RemoveIndex(model_name="synctask", name=name) for name in _REMOVED),
    ]
