"""The work of `import_reference_data --in-place` and `--drop-former`, and what they print."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeVar

import pymongo
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from pymongo.errors import PyMongoError

from apps.core.errors import Conflict
from apps.core.management.base import ExitCode
from apps.core.management.database_state import foreign_collections, missing_migrations, refuse_views
from apps.core.management.servers import problem_text
from apps.core.printable import labelled, list_text, sentences_text
from apps.core.storage.mongo import has_collection, named_collection
from apps.core.time_texts import instant_text
from apps.mengla.former import in_place, left_behind
from apps.mengla.former.former_database import COMMAND
from apps.mengla.former.import_lease import try_to_write
from apps.mengla.former.in_place import KeptCollection
from apps.mengla.former.reference_import import ImportResult
from apps.mengla.former.reference_source import ReferenceSource, open_source
from apps.mengla.former.run_logs import import_run_logs
from apps.mengla.monitoring.diagnose_checks import CheckFailed, check_mongodb

T = TypeVar("T")
Result = tuple[dict[str, Any], list[str], ExitCode]
ImportFigures = Callable[[ReferenceSource], ImportResult]
DescribeFigures = Callable[[ImportResult], tuple[dict[str, Any], str, ExitCode]]
# For one operation; the import of the figures and the migrations have limits of their own.
_OPERATION_SECONDS = 600


def show_plan(import_figures: ImportFigures, describe: DescribeFigures) -> Result:
    """Return what the move would do, and what keeps it from beginning; nothing is changed.

    :raises NotFound: when the database holds nothing of the former program.
    """
    in_place.require_former_data()
    kept = in_place.read_kept()
    if (finished_at := in_place.read_finished_at()) is not None:
        return _finished_before(finished_at, kept, is_dry_run=True)
    problem = _mongo_problem() or _rights_problem()
    with pymongo.timeout(_OPERATION_SECONDS):
        noted = [one for one in kept if not has_collection(one.kept_as)]
        names = in_place.names_to_rename(foreign_collections())
        wanted = [name for name in names if name not in {one.name for one in noted}]
        planned = in_place.plan_renames(wanted, taken=kept)
        missing = len(missing_migrations())
    lines = [_("Dry run, nothing changed. The move would do this:")]
    lines += [_("  keep %(name)s as %(kept_as)s") % asdict(one) for one in [*noted, *planned]]
    lines.append(_("  apply %(count)d migrations") % {"count": missing})
    figures, figure_lines, code = _figures([*kept, *planned], import_figures, describe)
    logs, log_lines = _logs(is_dry_run=True)
    left, left_lines, left_code = _left_behind()
    code = left_code if code is ExitCode.DONE else code
    if problem:
        left_lines.append(_("It cannot begin: %(problem)s") % {"problem": problem})
        code = ExitCode.FAILED
    result = {
        **{"is_dry_run": True, "is_finished": False, "problem": problem or None, "migrations": missing},
        **{"kept": [asdict(one) for one in [*kept, *planned]], "figures": figures, "run_logs": logs},
    }
    return result | left, [*lines, *figure_lines, *log_lines, *left_lines], code


def carry_over(import_figures: ImportFigures, describe: DescribeFigures) -> Result:
    """Carry everything over, or go on where an interrupted call has stopped.

    :raises NotFound: when the database holds nothing of the former program.
    :raises Conflict: when MongoDB cannot be used, when a migration fails, or when another process is at work.
    """
    in_place.require_former_data()
    if problem := _mongo_problem() or _rights_problem():
        raise Conflict(_("%(problem)s Nothing was changed.") % {"problem": problem})
    with in_place.moving() as move:
        if move.finished_at is not None:
            return _finished_before(move.finished_at, move.kept, is_dry_run=False)
        with pymongo.timeout(_OPERATION_SECONDS):
            move.rename(in_place.names_to_rename(foreign_collections()))
        _migrate()
        figures, lines, code = _figures(move.kept, import_figures, describe)
        logs, log_lines = _logs(is_dry_run=False)
        left, left_lines, left_code = _left_behind()
        code = left_code if code is ExitCode.DONE else code
        if code is not ExitCode.FAILED:
            move.finish()
            left_lines += [_("The data of the former program is carried over."), *_kept_lines(move.kept)]
    result = {
        **{"is_dry_run": False, "is_finished": move.finished_at is not None, "problem": None},
        **{"kept": [asdict(one) for one in move.kept], "figures": figures, "run_logs": logs},
    }
    return result | left, [*lines, *log_lines, *left_lines], code


def _finished_before(finished_at: datetime, kept: list[KeptCollection], *, is_dry_run: bool) -> Result:
    text = _("The data of the former program was carried over at %(at)s.")
    lines = [text % {"at": instant_text(finished_at)}, *_kept_lines(kept)]
    result = {"is_dry_run": is_dry_run, "is_finished": True, "problem": None, "finished_at": finished_at}
    return result | {"kept": [asdict(one) for one in kept]}, lines, ExitCode.DONE


def _migrate() -> None:
    try:
        call_command("migrate", interactive=False, verbosity=0, skip_checks=True, called_by=COMMAND)
    except CommandError as error:
        raise Conflict(str(error)) from error


def _mongo_problem() -> str:
    """Return why this MongoDB cannot be used, empty if it can."""
    try:
        check_mongodb()
    except CheckFailed as problem:
        return sentences_text((problem.detail, problem.advice))
    return ""


def _rights_problem() -> str:
    """Return why this user of MongoDB cannot carry the data over, empty if it can; nothing is changed."""
    try:
        try_to_write()
        refuse_views()
    except PyMongoError as error:
        return problem_text(error)
    except CommandError as error:
        return str(error)
    return ""


def _figures(
    kept: list[KeptCollection], import_figures: ImportFigures, describe: DescribeFigures
) -> tuple[dict[str, Any], list[str], ExitCode]:
    """Import the figures, or count them in a dry run; the worst exit code of all sources wins."""
    details: dict[str, Any] = {}
    lines: list[str] = []
    codes = {ExitCode.DONE}
    for one in kept:
        if not one.has_figures:
            continue
        name = one.kept_as if has_collection(one.kept_as) else one.name
        database = named_collection(name).database.name
        with open_source(
            uri=settings.MONGO_URI, database=database, collection=name, may_be_target=True
        ) as source:
            details[name], text, code = describe(import_figures(source))
        lines.append(labelled(name, text))
        codes.add(code)
    worst = ExitCode.FAILED if ExitCode.FAILED in codes else max(codes)
    return details, lines, worst


def _logs(*, is_dry_run: bool) -> tuple[dict[str, Any], list[str]]:
    with pymongo.timeout(_OPERATION_SECONDS):
        logs = import_run_logs(is_dry_run=is_dry_run)
    text = _("sync_task_logs: %(read)d read, %(imported)d imported, %(known)d known, %(left_out)d left out.")
    lines = [text % (asdict(logs) | {"left_out": sum(logs.left_out.values())})]
    lines += [
        _("  left out, %(reason)s: %(count)d") % {"reason": reason, "count": count}
        for reason, count in logs.left_out.items()
    ]
    if logs.unended:
        lines.append(_("  %(count)d were running; they are FAILED now.") % {"count": logs.unended})
    return asdict(logs), lines


def _kept_lines(kept: list[KeptCollection]) -> list[str]:
    names = [one.kept_as for one in kept if has_collection(one.kept_as)]
    text = _(
        "Kept as they were: %(names)s. Delete them when you no longer need them: "
        "python manage.py import_reference_data --drop-former"
    )
    return [text % {"names": list_text(names)}] if names else []


def _left_behind() -> Result:
    """Return what the move leaves to the operator; what cannot be read is named, and is no reason to fail."""
    lines: list[str] = []
    jobs = _read(_("Open jobs"), left_behind.count_open_jobs, lines)
    panels = _read(_("Panel configurations"), left_behind.list_panel_collections, lines)
    tokens = _read(_("Lists of API tokens"), left_behind.list_tokens, lines)
    code = ExitCode.PARTLY_FAILED if lines else ExitCode.DONE
    for name, statuses in (jobs or {}).items():
        text = _(
            "%(name)s: %(count)d open jobs are not moved (%(statuses)s). To collect what is missing: "
            "python manage.py fill"
        )
        listed = list_text(f"{status} {count}" for status, count in statuses.items())
        lines.append(text % {"name": name, "count": sum(statuses.values()), "statuses": listed})
    text = _("Panel configuration, not moved yet: python manage.py import_panel_config %(source)s")
    sources = [f"--collection {name}" for name in panels or []] or ["FILE"]
    lines += [text % {"source": source} for source in sources]
    if tokens:
        lines.append(_("API tokens to create again, with their expiry:"))
        lines += [f"  {label}  {expiry}" for label, expiry in tokens]
    elif tokens is not None:
        lines.append(
            _(
                "API tokens: the former program stores none. To list those that you have: "
                "python manage.py list_former_tokens"
            )
        )
    result: dict[str, Any] = {"open_jobs": jobs, "panel_collections": panels, "tokens": None}
    if tokens is not None:
        result["tokens"] = [{"label": label, "expires_at": expiry} for label, expiry in tokens]
    return result, lines, code


def _read(what: str, read: Callable[[], T], lines: list[str]) -> T | None:
    """Return what ``read`` returns; after any error None, and a line says so."""
    try:
        with pymongo.timeout(_OPERATION_SECONDS):
            return read()
    except Exception as error:  # noqa: BLE001 - the move is complete without it
        text = _("%(what)s: not listed, because they cannot be read (%(error)s).")
        lines.append(text % {"what": what, "error": type(error).__name__})
        return None
