"""TTL indexes, which the ORM cannot declare: MongoDB deletes what has expired by itself."""

from django.db import migrations

# Collections are stored as long as their sync tasks, so that a sync task can always show its failures.
COLLECTION_HISTORY_SECONDS = 180 * 24 * 3600


def create_indexes(apps, schema_editor):
    get_collection = schema_editor.connection.get_collection
    get_collection("mengla_data").create_index("expired_at", name="record_expiry", expireAfterSeconds=0)
    # Active collections have no end (null), and a TTL index deletes only documents with a date.
    get_collection("mengla_collections").create_index(
        "finished_at", name="collection_expiry", expireAfterSeconds=COLLECTION_HISTORY_SECONDS
    )


def drop_indexes(apps, schema_editor):
    get_collection = schema_editor.connection.get_collection
    get_collection("mengla_data").drop_index("record_expiry")
    get_collection("mengla_collections").drop_index("collection_expiry")


class Migration(migrations.Migration):
    dependencies = [("mengla", "0001_initial")]

    operations = [migrations.RunPython(create_indexes, drop_indexes)]
