"""A notice for each channel, in a MongoDB collection that processes of the former release do not touch."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("collector_admin", "0008_silences")]

    operations = [
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
