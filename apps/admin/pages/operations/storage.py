"""Operations on the caches and on what was collected."""

from __future__ import annotations

from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from apps.admin.caches.services import clear_l1, read_cache_stats
from apps.admin.pages.operations.operation import Choice, Done, Operation, Question, chosen_of, number_text
from apps.admin.permissions import TO_CLEAR_CACHES, TO_PURGE, TO_REMOVE_DUPLICATES, TO_WARM_UP
from apps.core.errors import Faults, InvalidInput
from apps.core.periods import parse_granularity
from apps.core.stored_messages import HISTORY
from apps.mengla.choices import GRANULARITIES, Action
from apps.mengla.former.duplicates import remove_duplicate_records
from apps.mengla.maintenance.purge import PurgeTarget, count_collected, purge
from apps.mengla.runs.collect import Order, select, start
from apps.mengla.runs.warm_up import DEFAULT_LIMIT, MAX_LIMIT, warm_up_plan

CACHES = gettext_lazy("Caches")
DATA = gettext_lazy("Collected data")
PURGE_WORD = "PURGE"  # typed by the user, the same in every language
_MAX_SECONDS = 20.0  # of one purge or removal, as in the API
_LENGTHS = [value for value, _name in GRANULARITIES]

# --- Caches -------------------------------------------------------------------------------------------

_WARMED = HISTORY.register("warm_up_started", gettext_noop("Started a cache warm-up."))
_L1_CLEARED = HISTORY.register("l1_cleared", gettext_noop("Cleared the memory cache (L1) of every process."))
_CLEARED = HISTORY.register("caches_cleared", gettext_noop("Cleared both caches (L1 and L2)."))


def _ask_warm_up() -> Question:
    return Question(
        [
            _("Warm up the cache?"),
            _("A sync task puts the figures of the newest records into Redis. Nothing is collected."),
        ],
        choices=[
            Choice("action", _("Data sets"), list(Action.choices)),
            Choice("granularity", _("Granularities"), list(GRANULARITIES)),
        ],
        limit=DEFAULT_LIMIT,
    )


def _warm_up(given: QueryDict, user: str) -> Done:
    faults = Faults()
    with faults.of("action"):
        actions = chosen_of(given, "action", Action.values)
    with faults.of("granularity"):
        granularities = [parse_granularity(one) for one in chosen_of(given, "granularity", _LENGTHS)]
    with faults.of("limit"):
        limit = _read_limit(given.get("limit", ""))
    faults.check()
    plan = warm_up_plan(select(actions=actions), granularities=granularities, limit=limit)
    return Done(_WARMED(), run_id=start(plan, Order(user)).run_id)


def _read_limit(text: str) -> int:
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_LIMIT))
    if not is_number or not 1 <= int(text) <= MAX_LIMIT:
        raise InvalidInput(_("Must be a number from 1 to %(limit)d.") % {"limit": MAX_LIMIT})
    return int(text)


def _ask_clear_l1() -> Question:
    stats = read_cache_stats()
    return Question(
        [
            _("Clear the memory cache (L1) of every process?"),
            _("The next reads take a little longer, because they come from Redis (L2)."),
        ],
        facts=[(_("Entries in this process"), number_text(stats.l1.entries))],
    )


def _clear_l1(_given: QueryDict, user: str) -> Done:
    clear_l1(cleared_by=user)
    return Done(_L1_CLEARED())


def _ask_clear() -> Question:
    stats = read_cache_stats()
    return Question(
        [
            _("Clear both caches (L1 and L2)?"),
            _(
                "Nothing is lost, but the next reads are slower until the caches are filled again: each "
                "figure comes from MongoDB once. A warm-up shortens this."
            ),
        ],
        facts=[
            (_("Entries in Redis (L2)"), number_text(stats.l2.entries)),
            (_("Entries in this process"), number_text(stats.l1.entries)),
        ],
    )


def _clear(_given: QueryDict, user: str) -> Done:
    purge(targets={PurgeTarget.REDIS}, purged_by=user)
    return Done(_CLEARED())


# --- Collected data -----------------------------------------------------------------------------------

_PURGED = HISTORY.register(
    "data_purged",
    gettext_noop(
        "Deleted the collected data. Records: %(records)d. Collections: %(collections)d. "
        "Sync tasks: %(runs)d."
    ),
)
_PURGED_PARTLY = HISTORY.register(
    "data_partly_purged",
    gettext_noop(
        "Deleted a part of the collected data. Records: %(records)d. Collections: %(collections)d. "
        "Sync tasks: %(runs)d. More is left: delete again."
    ),
)
_DUPLICATES_REMOVED = HISTORY.register(
    "duplicates_removed", gettext_noop("Deleted duplicate records: %(deleted)d. Kept: %(kept)d.")
)


def _ask_purge() -> Question:
    found = count_collected()
    return Question(
        [
            _("Delete all collected data? This cannot be undone."),
            _(
                "Users, tokens, panels, categories, schedules, and what is under way are kept. Both caches "
                "are cleared."
            ),
        ],
        facts=[
            (_("Records to delete"), number_text(found.records)),
            (_("Ended collections to delete"), number_text(found.collections)),
            (_("Ended sync tasks to delete"), number_text(found.runs)),
        ],
        word=PURGE_WORD,
        is_needed=bool(found.total),
    )


def _purge(given: QueryDict, user: str) -> Done:
    if given.get("word", "").strip() != PURGE_WORD:
        message = _("Type %(word)s to confirm.") % {"word": PURGE_WORD}
        raise InvalidInput(message, fields={"word": [message]})
    done = purge(targets={PurgeTarget.MONGODB}, purged_by=user, max_seconds=_MAX_SECONDS)
    if done.is_complete and not (done.records or done.collections or done.runs):
        return Done(_("There was nothing to delete."))
    said = _PURGED if done.is_complete else _PURGED_PARTLY
    return Done(said(records=done.records, collections=done.collections, runs=done.runs))


def _ask_duplicates() -> Question:
    found = remove_duplicate_records(is_applied=False, requested_by="", max_seconds=_MAX_SECONDS)
    return Question(
        [
            _("Delete duplicate records? This cannot be undone."),
            _("Of several records of the same query, the one with figures is kept, then the newest."),
        ],
        facts=[
            (_("Queries with duplicates"), number_text(found.groups)),
            (_("Records to delete"), number_text(found.duplicates)),
        ],
        is_needed=bool(found.duplicates),
    )


def _remove_duplicates(_given: QueryDict, user: str) -> Done:
    report = remove_duplicate_records(is_applied=True, requested_by=user, max_seconds=_MAX_SECONDS)
    if not report.deleted:
        return Done(_("There was nothing to delete."))
    return Done(_DUPLICATES_REMOVED(deleted=report.deleted, kept=report.groups))


STORAGE = (
    Operation(
        slug="warm-up",
        section=CACHES,
        label=gettext_lazy("Warm up"),
        needs=TO_WARM_UP,
        ask=_ask_warm_up,
        run=_warm_up,
    ),
    Operation(
        slug="clear-l1",
        section=CACHES,
        label=gettext_lazy("Clear L1"),
        needs=TO_CLEAR_CACHES,
        ask=_ask_clear_l1,
        run=_clear_l1,
    ),
    Operation(
        slug="clear-caches",
        section=CACHES,
        label=gettext_lazy("Clear both caches"),
        needs=TO_PURGE,
        ask=_ask_clear,
        run=_clear,
        is_danger=True,
    ),
    Operation(
        slug="purge",
        section=DATA,
        label=gettext_lazy("Delete collected data"),
        needs=TO_PURGE,
        ask=_ask_purge,
        run=_purge,
        is_danger=True,
    ),
    Operation(
        slug="remove-duplicates",
        section=DATA,
        label=gettext_lazy("Delete duplicate records"),
        needs=TO_REMOVE_DUPLICATES,
        ask=_ask_duplicates,
        run=_remove_duplicates,
        is_danger=True,
    ),
)
