"""Readers are noted by name on what they asked for, so that no run takes it with it."""

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
