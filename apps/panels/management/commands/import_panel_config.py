"""`manage.py import_panel_config`: take over the panel configuration of the former program."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from pymongo.errors import InvalidName, OperationFailure
from rest_framework.exceptions import ParseError

from apps.core.api.parsers import loads_shallow
from apps.core.errors import InvalidInput
from apps.core.management.base import OPERATOR, CollectorCommand, ExitCode
from apps.core.management.tables import printable
from apps.core.storage.mongo import LENIENT_CODEC, named_collection
from apps.panels import services
from apps.panels.config import changed, differences
from apps.panels.former_config import read_former_config
from apps.panels.selectors import read_config

_MAX_BYTES = 1_000_000
_MAX_NAME_LENGTH = 120
_INVALID_NAMESPACE = 73  # the error code of MongoDB for a name that it cannot have
# What a program notes about a document of its own; it is no part of the configuration.
_BOOKKEEPING = frozenset({"_id", "created_at", "updated_at"})


class Command(CollectorCommand):
    """Makes one change of the panel configuration; run again, it changes nothing."""

    help = gettext_noop(
        "Import the panel configuration of the former program, from its JSON file or from a MongoDB "
        "collection. Modules and fields that this product does not have are left out and listed."
    )
    examples = (
        "import_panel_config panel_config.json --dry-run",
        "import_panel_config --collection panel_config",
    )
    can_dry_run = True
    argument_errors = (InvalidInput,)

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the source."""
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument(
            "file", nargs="?", metavar="FILE", help=_("the JSON file, or - for standard input")
        )
        source.add_argument(
            "--collection", metavar="NAME", help=_("the MongoDB collection, in the database of MONGO_DB")
        )
        super().add_arguments(parser)

    def run(self, **options: Any) -> tuple[Mapping[str, Any], str, ExitCode]:
        """Read the configuration, check it, and change ours."""
        if options["collection"] is not None:
            document = _read_collection(options["collection"])
        else:
            document = _read_file(options["file"])
        wanted = read_former_config(document)
        before = read_config()
        after = changed(before, modules=wanted.modules, layout=wanted.layout)
        if not options["dry_run"]:
            after = services.change_config(changed_by=OPERATOR, modules=wanted.modules, layout=wanted.layout)
        changes = differences(before, after)
        text = _("Panel configuration: %(changes)s.")
        if options["dry_run"]:
            text = _("Dry run, nothing changed. Panel configuration: %(changes)s.")
        lines = [text % {"changes": ", ".join(changes) or _("no change")}]
        lines += [_("  left out: %(name)s") % {"name": printable(name)} for name in wanted.left_out]
        result = {"is_dry_run": options["dry_run"], "changes": changes, "left_out": wanted.left_out}
        code = ExitCode.PARTLY_FAILED if wanted.left_out else ExitCode.DONE
        return result | {"version": after.version}, "\n".join(lines), code


def _read_file(name: str) -> Any:
    try:
        if name == "-":
            content = sys.stdin.buffer.read(_MAX_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        message = _("The file %(name)s cannot be read (%(error)s).")
        facts = {"name": printable(name), "error": type(error).__name__}
        raise InvalidInput(message % facts) from error
    if len(content) > _MAX_BYTES:
        raise InvalidInput(_("Is too large."))
    try:
        # Editors write UTF-16 and marks of the encoding, too.
        return loads_shallow(content.decode(json.detect_encoding(content)).encode())
    except (ValueError, ParseError) as error:
        raise InvalidInput(_("The file is not valid JSON, or is nested too deeply.")) from error


def _read_collection(name: str) -> Any:
    """Return the newest document with a configuration."""
    invalid_name = InvalidInput(_("Invalid name of a database or MongoDB collection."))
    if not 0 < len(name) <= _MAX_NAME_LENGTH or not name.isprintable() or "$" in name:
        raise invalid_name
    wanted = {"$or": [{"modules": {"$exists": True}}, {"layout": {"$exists": True}}]}
    try:
        collection = named_collection(name).with_options(codec_options=LENIENT_CODEC)
        found = collection.find_one(wanted, sort=[("updated_at", -1), ("_id", -1)])
    except (InvalidName, OperationFailure) as error:
        if isinstance(error, OperationFailure) and error.code != _INVALID_NAMESPACE:
            raise
        raise invalid_name from error
    if found is None:
        message = _("The MongoDB collection %(name)s holds no panel configuration.")
        raise InvalidInput(message % {"name": name})
    return {part: value for part, value in found.items() if part not in _BOOKKEEPING}
