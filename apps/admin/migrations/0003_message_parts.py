"""Fields for the code and the parameters of a stored text, beside the text."""

from django.db import migrations, models

# Nothing is written to MongoDB: a document without the field reads as null.
_STATE = [
    migrations.AddField(model_name="alert", name="message_parts", field=models.JSONField(null=True)),
    migrations.AddField(model_name="alertevent", name="message_parts", field=models.JSONField(null=True)),
]


class Migration(migrations.Migration):
    dependencies = [("collector_admin", "0002_alert_told_at")]

    operations = [migrations.SeparateDatabaseAndState(state_operations=_STATE)]
