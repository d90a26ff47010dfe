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
            index=models.Index(fields=["status", "action", "priority", "-id"], name="collection_kind"),
        ),
        migrations.AddIndex(
            model_name="collection",
            index=models.Index(
                fields=["error_code", "action", "priority", "-id"],
                condition=models.Q(status="FAILED"),
                name="collection_failed",
            ),
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                fields=["-updated_at", "-id", "action", "granularity", "is_empty"], name="record_newest"
            ),
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                fields=["cat_id", "-updated_at", "-id", "granularity", "period_key", "action", "is_empty"],
                name="record_by_category",
            ),
        ),
        migrations.RemoveIndex(model_name="record", name="record_updated"),
        migrations.RemoveIndex(model_name="record", name="record_category"),
    ]
