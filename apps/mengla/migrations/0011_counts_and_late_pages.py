"""Indexes to count how the collections of a day ended, and for late pages of filtered lists."""

from datetime import UTC, datetime

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mengla", "0010_renewed_at")]

    operations = [
        migrations.AddIndex(
            model_name="collection",
            index=models.Index(
                fields=["action", "status", "finished_at"],
                condition=models.Q(finished_at__gt=datetime(1970, 1, 1, tzinfo=UTC)),
                name="collection_ended",
            ),
        ),
        migrations.AddIndex(
            model_name="collection",
            index=models.Index(
                fields=["status", "action", "priority", "-id", "error_code"], name="collection_kind"
            ),
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                fields=["-updated_at", "-id", "action", "granularity", "is_empty"], name="record_newest"
            ),
        ),
        migrations.RemoveIndex(model_name="record", name="record_updated"),
    ]
