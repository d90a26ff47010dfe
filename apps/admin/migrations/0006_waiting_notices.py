"""An index for the notices that have not been delivered."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("collector_admin", "0005_wrong_signatures")]

    operations = [
        migrations.AddIndex(
            model_name="alertnotice",
            index=models.Index(fields=["delivered_at", "created_at", "id"], name="alert_notice_waiting"),
        ),
    ]
