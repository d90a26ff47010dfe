"""Fields for the code and the parameters of a stored text, beside the text."""

from django.db import migrations, models

# Nothing is written to MongoDB: a document without the field reads as null.
_STATE = [
    migrations.AddField(model_name="collection", name="error_message_parts", field=models.JSONField(null=True)),
]


class Migration(migrations.Migration):
    dependencies = [("mengla", "0006_indexes_of_record_lists")]

    operations = [migrations.SeparateDatabaseAndState(state_operations=_STATE)]
