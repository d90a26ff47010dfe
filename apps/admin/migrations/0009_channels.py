"""A notice for each channel, in a MongoDB collection that processes of the former release do not touch.

The former one is not renamed: a migration that is killed after a rename could not be repeated. Its notices are
taken over when the next ones are sent (alerts/outbox.py).
"""

from django.db import migrations, models

_INDEXES = {
    "alert_notice_oldest": ["created_at", "_id"],
    "alert_notice_of_channel": ["channel", "delivered_at", "given_up_at", "created_at", "_id"],
}
_STATE = [
    migrations.AlterModelTable(name="alertnotice", table="alert_deliveries"),
    migrations.AddField(
        model_name="alertnotice",
        name="kind",
        field=models.CharField(blank=True, default="", max_length=16, verbose_name="event"),
        preserve_default=False,
    ),
    migrations.AddField(
        model_name="alertnotice",
        name="rule",
        field=models.CharField(blank=True, default="", max_length=40, verbose_name="rule"),
        preserve_default=False,
    ),
    migrations.AddField(
        model_name="alertnotice",
        name="action",
        field=models.CharField(blank=True, default="", max_length=32, verbose_name="data set"),
        preserve_default=False,
    ),
    migrations.AddField(
        model_name="alertnotice",
        name="channel",
        field=models.CharField(default="webhook", max_length=64, verbose_name="channel"),
    ),
    migrations.AddField(
        model_name="alertnotice",
        name="given_up_at",
        field=models.DateTimeField(null=True, verbose_name="given up at"),
    ),
    migrations.AddField(
        model_name="alertnotice",
        name="failed_at",
        field=models.DateTimeField(null=True, verbose_name="failed at"),
    ),
    migrations.AddField(
        model_name="alertnotice",
        name="error",
        field=models.CharField(blank=True, default="", max_length=500, verbose_name="problem"),
        preserve_default=False,
    ),
    migrations.AddField(
        model_name="alertnotice",
        name="error_parts",
        field=models.JSONField(null=True),
    ),
    migrations.RemoveIndex(model_name="alertnotice", name="alert_notice_waiting"),
    migrations.AddIndex(
        model_name="alertnotice",
        index=models.Index(
            fields=["channel", "delivered_at", "given_up_at", "created_at", "id"],
            name="alert_notice_of_channel",
        ),
    ),
]


def create_indexes(apps, schema_editor):
    notices = schema_editor.connection.get_collection("alert_deliveries")
    for name, fields in _INDEXES.items():
        notices.create_index([(field, 1) for field in fields], name=name)


def drop_collection(apps, schema_editor):
    schema_editor.connection.get_collection("alert_deliveries").drop()


class Migration(migrations.Migration):
    dependencies = [("collector_admin", "0008_silences")]

    operations = [
        migrations.SeparateDatabaseAndState(state_operations=_STATE),
        migrations.RunPython(create_indexes, drop_collection),
    ]
