"""Silences of single data sets, with a reason and the time of their beginning."""

from django.db import migrations, models

# Nothing is written to MongoDB: a document without the fields reads as null, and keys stay as they are.
_STATE = [
    migrations.AlterField(
        model_name="alertsilence",
        name="id",
        field=models.CharField(
            db_column="_id", max_length=80, primary_key=True, serialize=False, verbose_name="rule"
        ),
    ),
    migrations.AddField(
        model_name="alertsilence",
        name="silenced_at",
        field=models.DateTimeField(null=True, verbose_name="silenced at"),
    ),
    migrations.AddField(
        model_name="alertsilence",
        name="reason",
        field=models.CharField(blank=True, max_length=200, verbose_name="reason"),
    ),
]


class Migration(migrations.Migration):
    dependencies = [("collector_admin", "0007_roles")]

    operations = [migrations.SeparateDatabaseAndState(state_operations=_STATE)]
