"""Fields and indexes for the turns of readers' collections; the executions of earlier attempts."""

import django_mongodb_backend.fields
from django.db import migrations, models

# Nothing is written to MongoDB: a document without a place is sent before the others, and executions are noted
# from the next attempt on.
_STATE = [
    migrations.AddField(
        model_name="collection", name="caller", field=models.CharField(blank=True, max_length=160)
    ),
    migrations.AddField(
        model_name="collection", name="place", field=models.CharField(blank=True, max_length=32)
    ),
    migrations.AddField(
        model_name="collection",
        name="past_executions",
        field=django_mongodb_backend.fields.ArrayField(
            models.CharField(max_length=193), blank=True, default=list, size=None
        ),
    ),
]
_WAITING_READERS = models.Q(status="PENDING", priority=0)


class Migration(migrations.Migration):
    dependencies = [("mengla", "0011_counts_and_late_pages")]

    operations = [
        migrations.SeparateDatabaseAndState(state_operations=_STATE),
        migrations.AddIndex(
            model_name="collection",
            index=models.Index(
                fields=["status", "priority", "place"], condition=_WAITING_READERS, name="collection_turns"
            ),
        ),
        migrations.AddIndex(
            model_name="collection",
            index=models.Index(
                fields=["caller", "status", "priority", "place"],
                condition=_WAITING_READERS,
                name="collection_callers",
            ),
        ),
    ]
