"""The code and the parameters of stored texts, beside the texts."""

from django.db import migrations, models

# MongoDB needs no change: a document without the field reads as null.
_STATE = [
    migrations.AddField(model_name="synctask", name="error_message_parts", field=models.JSONField(null=True)),
]


class Migration(migrations.Migration):
    dependencies = [("sync_tasks", "0002_expiry")]

    operations = [migrations.SeparateDatabaseAndState(state_operations=_STATE)]
