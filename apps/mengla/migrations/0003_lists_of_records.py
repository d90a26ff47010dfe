"""Indexes for lists of a million records.

``record_updated`` was built over a field ``id`` that no document has (the key is ``_id``), so that a list of the
newest records read and sorted all of them.
"""

from django.db import migrations, models
from django.db.models import Q


def rebuild_indexes(apps, schema_editor):
    records = schema_editor.connection.get_collection("mengla_data")
    for name, index in records.index_information().items():
        if any(field == "id" for field, _direction in index["key"]):
            records.drop_index(name)
    records.create_index([("updated_at", -1), ("_id", -1)], name="record_updated")


class Migration(migrations.Migration):
    dependencies = [("mengla", "0002_expiry")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="record",
                    name="id",
                    field=models.CharField(
                        db_column="_id",
                        max_length=200,
                        primary_key=True,
                        serialize=False,
                        verbose_name="key",
                    ),
                ),
            ],
            database_operations=[migrations.RunPython(rebuild_indexes, migrations.RunPython.noop)],
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                fields=["-updated_at", "-id"], condition=Q(is_empty=True), name="record_empty"
            ),
        ),
    ]
