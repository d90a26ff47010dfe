"""A TTL index, which the ORM cannot declare: MongoDB deletes runs long ended by itself."""

from django.db import migrations

# Its collections are kept as long: with them go the reasons of its failures, and what could be retried.
RUN_HISTORY_SECONDS = 180 * 24 * 3600


def create_index(apps, schema_editor):
    # A run that has not ended has no end (null), and TTL deletes only what holds a date.
    schema_editor.connection.get_collection("sync_tasks").create_index(
        "finished_at", name="sync_task_expiry", expireAfterSeconds=RUN_HISTORY_SECONDS
    )


def drop_index(apps, schema_editor):
    schema_editor.connection.get_collection("sync_tasks").drop_index("sync_task_expiry")


class Migration(migrations.Migration):
    dependencies = [("sync_tasks", "0001_initial")]

    operations = [migrations.RunPython(create_index, drop_index)]
