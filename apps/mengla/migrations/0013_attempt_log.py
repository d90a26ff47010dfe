"""A field for the attempts at a collection that have ended."""

from django.db import migrations, models

# Nothing is written to MongoDB: a document without the field keeps its attempts from the next one on.
_STATE = [
    migrations.AddField(model_name="collection", name="attempt_log", field=models.JSONField(default=list))
]


class Migration(migrations.Migration):
    dependencies = [("mengla", "0012_turns")]

    operations = [migrations.SeparateDatabaseAndState(state_operations=_STATE)]
