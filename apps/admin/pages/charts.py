"""Charts as data for the script that draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from apps.mengla.store.outcomes import MISS, TIERS, Outcome

Chart = dict[str, Any]


def outcome_names() -> dict[Outcome, str]:
    """Return the names of the outcomes of a collection, in the order of the stacked bars."""
    return {
        Outcome.SUCCEEDED: _("Succeeded"),
        Outcome.EMPTY: _("Empty"),
        Outcome.FAILED: _("Failed"),
        Outcome.SPARED: _("Already stored"),
        Outcome.CANCELLED: _("Cancelled"),
    }


def source_names() -> dict[str, str]:
    """Return the names of the tiers that serve reads, and of a miss."""
    names = (_("L1 (process)"), _("L2 (Redis)"), _("L3 (MongoDB)"))
    return {**dict(zip(TIERS, names, strict=True)), MISS: _("Miss")}


def hours_chart(data: Mapping[str, Any] | None) -> Chart | None:
    """Return the chart of the collections per hour, None when they are unknown."""
    if data is None:
        return None
    hours = data["hours"]
    return stacked(
        [hour["began_at"] for hour in hours],
        {name: [hour["counts"][key] for hour in hours] for key, name in outcome_names().items()},
        tones=("good", "quiet", "bad", "calm", "dim"),
    )


def cache_chart(data: Mapping[str, Any] | None) -> Chart | None:
    """Return the chart of the reads by tier, None when they are unknown."""
    if data is None:
        return None
    days = data["days"]
    return stacked(
        [day["day"][5:] for day in days],
        {name: [day["counts"][key] for day in days] for key, name in source_names().items()},
        tones=("one", "two", "three", "bad"),
    )


def stacked(labels: Sequence[str], series: Mapping[str, Sequence[float]], *, tones: Sequence[str]) -> Chart:
    """Return a chart of stacked bars."""
    return chart("stacked", labels, series, tones)


def chart(
    kind: str, labels: Sequence[str], series: Mapping[str, Sequence[float | None]], tones: Sequence[str]
) -> Chart:
    """Return a chart: the script maps ``kind`` and ``tones`` to shapes and colours."""
    return {
        "kind": kind,
        "labels": list(labels),
        "series": [
            {"name": name, "values": list(values), "tone": tones[index % len(tones)]}
            for index, (name, values) in enumerate(series.items())
        ],
    }
