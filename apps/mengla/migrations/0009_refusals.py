"""Fields for collections that the service did not take."""

from django.db import migrations, models

# Nothing is written to MongoDB: a document without these fields was never refused.
_STATE = [
    migrations.AddField(
        model_name="collection",
        name="refusals",
        field=models.IntegerField(default=0, verbose_name="refusals"),
    ),
    migrations.AddField(
        model_name="collection",
        name="refused_since",
        field=models.DateTimeField(null=True, verbose_name="refused since"),
    ),
    migrations.AddField(model_name="collection", name="is_probe", field=models.BooleanField(default=False)),
]


class Migration(migrations.Migration):
    dependencies = [("mengla", "0008_labels")]

    operations = [migrations.SeparateDatabaseAndState(state_operations=_STATE)]
