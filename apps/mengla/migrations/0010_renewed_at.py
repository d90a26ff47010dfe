"""A field for when an empty answer made figures fresh again."""

from django.db import migrations, models

# Nothing is written to MongoDB: a document without the field reads as null.
_STATE = [migrations.AddField(model_name="record", name="renewed_at", field=models.DateTimeField(null=True))]


class Migration(migrations.Migration):
    dependencies = [("mengla", "0009_refusals")]

    operations = [migrations.SeparateDatabaseAndState(state_operations=_STATE)]
