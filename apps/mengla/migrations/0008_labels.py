"""New labels of fields. MongoDB stores no labels, so only the state of the models changes."""

from django.db import migrations, models

_ACTIONS = [
    ("high", "Blue-ocean ranking"),
    ("hot", "Best sellers"),
    ("chance", "Rising"),
    ("industryViewV2", "Distribution"),
    ("industryTrendRange", "Trend"),
]
_EMPTY_REASONS = [
    ("missing_key", "The answer lacks the list"),
    ("error_code", "The answer carries an error code"),
    ("null_data", "The data is null"),
    ("empty_list", "The list is empty"),
    ("all_lists_empty", "All lists are empty"),
    ("no_points", "The trend has no points"),
    ("missing_point", "The trend lacks this period"),
]


def _action() -> models.CharField:
    return models.CharField(choices=_ACTIONS, max_length=32, verbose_name="data set")


def _empty_reason() -> models.CharField:
    return models.CharField(blank=True, choices=_EMPTY_REASONS, max_length=32, verbose_name="empty reason")


_FIELDS = {
    "collection": {
        "action": _action(),
        "empty_reason": _empty_reason(),
        "has_reader": models.BooleanField(default=False, verbose_name="requested by a reader"),
        "identity": models.CharField(max_length=220, verbose_name="query"),
        "is_forced": models.BooleanField(default=False, verbose_name="forced"),
    },
    "record": {
        "action": _action(),
        "collect_duration_ms": models.BigIntegerField(null=True, verbose_name="collection duration (ms)"),
        "data": models.JSONField(null=True, verbose_name="figures"),
        "empty_reason": _empty_reason(),
    },
}
_STATE = [
    migrations.AlterField(model_name=model, name=name, field=field)
    for model, fields in _FIELDS.items()
    for name, field in fields.items()
]


class Migration(migrations.Migration):
    dependencies = [("mengla", "0007_error_message_parts")]

    operations = [migrations.SeparateDatabaseAndState(state_operations=_STATE)]
