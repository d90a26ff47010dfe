"""Indexes for filtered lists of records: a filter that few records match is as fast as one that all match."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mengla", "0005_answered_collections")]

    operations = [
        migrations.RemoveIndex(model_name="record", name="record_category"),
        migrations.RemoveIndex(model_name="record", name="record_period"),
        migrations.RemoveIndex(model_name="record", name="record_empty"),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                fields=["action", "granularity", "is_empty", "-updated_at", "-id", "period_key"],
                name="record_kind",
            ),
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(fields=["cat_id", "-updated_at", "-id"], name="record_category"),
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                fields=["granularity", "period_key", "-updated_at", "-id", "action", "is_empty"],
                name="record_period",
            ),
        ),
    ]
