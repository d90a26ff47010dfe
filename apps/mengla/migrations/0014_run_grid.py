"""An index for the collections of one run, filtered by any of its fields."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mengla", "0013_attempt_log")]

    operations = [
        migrations.AddIndex(
            model_name="collection",
            index=models.Index(
                fields=[
                    "run_ids",
                    "status",
                    "action",
                    "-id",
                    "priority",
                    "cat_id",
                    "error_code",
                    "empty_reason",
                ],
                name="collection_run_grid",
            ),
        )
    ]
