"""A TTL index, which the ORM cannot declare: MongoDB deletes runs that ended long ago."""

from django.db import migrations

# The collections of a run expire after the same time. Without them it has no failures to show or retry.
RUN_HISTORY_SECONDS = 180 * 24 * 3600


def create_index(apps, schema_editor):
    # A run that has not ended has null in the field, and a TTL index deletes only documents with a date.
    schema_editor.connection.get_collection("sync_tasks").create_index(
        "finished_at", name="sync_task_expiry", expireAfterSeconds=RUN_HISTORY_SECONDS
    )


def drop_index(apps, schema_editor):
    schema_editor.connection.get_collection("sync_tasks").drop_index("sync_task_expiry")


class Migration(migrations.Migration):
    dependencies = [("sync_tasks", "0001_initial")]

    operations = [migrations.RunPython(create_index, drop_index)]
