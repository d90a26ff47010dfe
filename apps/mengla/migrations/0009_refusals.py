"""Fields for collections that the service did not take."""

from django.db import migrations, models

_ERRORS = [
    ("execution_failed", "The collection service reported a failure"),
    ("unreadable_payload", "The answer could not be read"),
    ("unstorable_payload", "The answer could not be stored"),
    ("timeout", "No answer came in time"),
    ("connect_error", "The collection service could not be reached"),
    ("service_error", "The collection service answered with an error"),
    ("rate_limited", "The collection service asked for fewer requests"),
    ("unauthorized", "The collection service refuses the key"),
    ("rejected", "The collection service rejected the request (4xx)"),
    ("unknown_task", "The collection service has no task of this name"),
    ("unknown", "Unknown error"),
]
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
    migrations.AddField(
        model_name="collection", name="has_failed_as_probe", field=models.BooleanField(default=False)
    ),
    migrations.AlterField(
        model_name="collection",
        name="error_code",
        field=models.CharField(blank=True, choices=_ERRORS, max_length=32, verbose_name="error"),
    ),
]


class Migration(migrations.Migration):
    dependencies = [("mengla", "0008_labels")]

    operations = [migrations.SeparateDatabaseAndState(state_operations=_STATE)]
