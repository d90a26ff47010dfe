"""The configuration every installation begins with, and the view that shows its modules one by one."""

from django.db import migrations

_LAYOUT = "panel_layout"
_VIEW = "panel_modules"
_MODULES_ONE_BY_ONE = [
    {"$unwind": "$modules"},
    {"$replaceRoot": {"newRoot": {"$mergeObjects": [{"_id": "$modules.id"}, "$modules"]}}},
]
_NAMES = {"overview": "行业总览", "high": "蓝海Top行业", "hot": "热销Top行业", "chance": "潜力Top行业"}
_DEFAULTS = {
    "modules": [
        {"id": module_id, "name": name, "is_enabled": True, "order": order, "props": {}}
        for order, (module_id, name) in enumerate(_NAMES.items())
    ],
    "default_period": "month",
    "shows_rank_period_selector": True,
    "version": 1,
    "updated_by": "",
    "updated_at": None,
}


def create_defaults(apps, schema_editor):
    # One upsert that writes only what is not there: an operator's changes stay, however often this runs.
    schema_editor.connection.get_collection(_LAYOUT).update_one(
        {"_id": "default"}, {"$setOnInsert": _DEFAULTS}, upsert=True
    )


def create_view(apps, schema_editor):
    database = schema_editor.connection.database
    definition = {"viewOn": _LAYOUT, "pipeline": _MODULES_ONE_BY_ONE}
    if _VIEW in database.list_collection_names(filter={"name": _VIEW}):
        database.command("collMod", _VIEW, **definition)
    else:
        database.command("create", _VIEW, **definition)


def drop_view(apps, schema_editor):
    schema_editor.connection.database.drop_collection(_VIEW)


class Migration(migrations.Migration):
    dependencies = [("panels", "0001_initial")]

    operations = [
        migrations.RunPython(create_defaults, migrations.RunPython.noop),
        migrations.RunPython(create_view, drop_view),
    ]
