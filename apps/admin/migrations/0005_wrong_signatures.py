"""A new rule, webhooks with a wrong signature; and the breaker is named for every reason that opens it."""

from django.db import migrations, models

_RULES = [
    ("low_success_rate", "Collections fail"),
    ("critical_success_rate", "Many collections fail"),
    ("high_latency", "Collections take long"),
    ("low_cache_hit_rate", "Low cache hit rate"),
    ("empty_streak", "Only empty answers"),
    ("queue_stuck", "The queue is stuck"),
    ("breaker_open", "The breaker of the collection service is open"),
    ("worker_silent", "No worker reports"),
    ("wrong_signatures", "Webhooks have a wrong signature"),
]


def _rule(**options):
    return models.CharField(choices=_RULES, max_length=40, verbose_name="rule", **options)


# Nothing in MongoDB changes: the choices of a field are not stored there.
_STATE = [
    migrations.AlterField(model_name="alert", name="rule", field=_rule()),
    migrations.AlterField(model_name="alertevent", name="rule", field=_rule()),
    migrations.AlterField(
        model_name="alertsilence",
        name="id",
        field=_rule(db_column="_id", primary_key=True, serialize=False),
    ),
]


class Migration(migrations.Migration):
    dependencies = [("collector_admin", "0004_data_set")]

    operations = [migrations.SeparateDatabaseAndState(state_operations=_STATE)]
