"""Notes on collections and records that a reader asked for them: deleting a run then leaves them in place."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mengla", "0003_lists_of_records")]

    operations = [
        migrations.AddField(
            model_name="collection",
            name="has_reader",
            field=models.BooleanField(default=False, verbose_name="asked by a reader"),
        ),
        migrations.AddField(
            model_name="record",
            name="has_reader",
            field=models.BooleanField(default=False),
        ),
    ]
