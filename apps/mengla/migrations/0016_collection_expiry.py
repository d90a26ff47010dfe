"""Collections are kept for 180 days in each database: version 0.1.0 made the index with 90 days."""

from django.db import migrations

COLLECTION_HISTORY_SECONDS = 180 * 24 * 3600


def set_expiry(apps, schema_editor):
    # Also where it is so already: the command changes nothing then.
    schema_editor.connection.database.command(
        "collMod",
        "mengla_collections",
        index={"name": "collection_expiry", "expireAfterSeconds": COLLECTION_HISTORY_SECONDS},
    )


class Migration(migrations.Migration):
    dependencies = [("mengla", "0015_words_of_states")]

    operations = [migrations.RunPython(set_expiry, migrations.RunPython.noop)]
