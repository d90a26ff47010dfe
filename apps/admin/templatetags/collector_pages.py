"""Filters that write numbers, durations and names for people."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from apps.admin.choices import Severity
from apps.admin.pages.charts import outcome_names, source_names
from apps.admin.pages.dashboard.links import Links
from apps.admin.pages.data.figures.links import Cell, LinkedTable
from apps.core.printable import labelled, percent_text
from apps.core.time_texts import duration_text
from apps.mengla.choices import Priority
from apps.mengla.monitoring.figure_tables import Column, Kind, Table
from apps.sync_tasks.choices import RunStatus

register = template.Library()

NOTHING = "–"
_STYLES = {Kind.LINE: ' class="cp-line"'}
_MINUTE, _HOUR = 60, 3600


@register.filter
def duration(seconds: float | None) -> str:
    """Write a duration in its two largest units, such as ``3 min 20 s``; a dash for none."""
    return NOTHING if seconds is None else duration_text(seconds)


@register.filter
def ago(seconds: float) -> str:
    """Write how long ago something was, so roughly that it is still true while the page is read."""
    if seconds < _MINUTE:
        return _("less than a minute ago")
    if seconds < _HOUR:
        return _("%(minutes)d min ago") % {"minutes": seconds // _MINUTE}
    return _("%(age)s ago") % {"age": duration_text(seconds)}


@register.filter
def number(value: float | None) -> str:
    """Write a number with separated thousands; a dash for none."""
    if value is None:
        return NOTHING
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}".rstrip("0").rstrip(".")


register.filter("labelled", labelled)


@register.filter
def aside(text: str) -> str:
    """Return a text in the brackets of the current language, which follow another one."""
    return format_html(_("{before} ({text})"), before="", text=text)


@register.filter
def percent(value: float | None) -> str:
    """Write a number of percent; a dash for none."""
    return NOTHING if value is None else percent_text(number(value))


@register.filter
def outcome_name(key: str) -> str:
    """Return the name of an outcome of a collection."""
    return {outcome.value: name for outcome, name in outcome_names().items()}.get(key, key)


@register.filter
def source_name(key: str) -> str:
    """Return the name of the tier that served a read."""
    return source_names().get(key, key)


@register.filter
def priority_name(key: str) -> str:
    """Return the name of a priority."""
    return {priority.name.lower(): str(priority.label) for priority in Priority}.get(key, key)


@register.filter
def status_name(key: str) -> str:
    """Return the name of the status of a sync task."""
    return str(RunStatus(key).label) if key in RunStatus.values else key


@register.simple_tag
def link_to(links: Links, where: str, label: Any, *keys: str, **query: Any) -> str:
    """Write a label as a link to the list of what it counts; without one if the user may not see the list."""
    address = links.to(where, *keys, **query)
    return format_html('<a href="{}">{}</a>', address, label) if address else format_html("{}", label)


@register.simple_tag
def action_to(links: Links, where: str, label: str, about: str, *keys: str, **query: Any) -> str:
    """Write a button that leads to the confirmation of an action; nothing if the user may not do it.

    ``about`` names the row, for screen readers: the same label is in each of them.
    """
    address = links.to(where, *keys, **query)
    if not address:
        return ""
    return format_html(
        '<a class="cp-action" href="{}">{}<span class="cp-sr"> {}</span></a>', address, label, about
    )


@register.filter
def severity_name(key: str) -> str:
    """Return the name of the severity of an alert."""
    return str(Severity(key).label) if key in Severity.values else key


@register.filter
def cut_text(table: Table | LinkedTable) -> str:
    """Write how much of a table is shown, such as ``The first 5 of 57 rows, 6 of 25 columns.``"""
    rows, columns = len(table.described_rows), len(table.columns)
    facts = {
        "rows": f"{rows:,}",
        "all_rows": f"{rows + table.hidden_rows:,}",
        "columns": columns,
        "all_columns": columns + table.hidden_columns,
    }
    return _("The first %(rows)s of %(all_rows)s rows, %(columns)d of %(all_columns)d columns.") % facts


@register.filter
def rows_html(table: Table | LinkedTable) -> SafeString:
    """Write the rows of a table: tens of thousands of cells, for which a template takes much longer."""
    styles = [
        ' class="cp-num"' if column.is_number else _STYLES.get(column.kind, "") for column in table.columns
    ]
    rows = []
    for row in table.described_rows:
        cells = zip(styles, row, strict=True)
        html = [
            f"<td{style}>{conditional_escape(cell(value, column))}</td>" for style, (column, value) in cells
        ]
        rows.append(f"<tr>{''.join(html)}</tr>")
    return mark_safe("".join(rows))  # noqa: S308 - each cell is escaped


def cell(value: Any, column: Column) -> str:
    """Write one value of a table; a change has an arrow, and a word for screen readers.

    A :class:`Cell` may be a link, and have a checkbox before it.
    """
    if isinstance(value, Cell):
        return _cell_html(value)
    is_change = column.kind is Kind.CHANGE and isinstance(value, int | float) and not isinstance(value, bool)
    if not is_change or value == 0:
        return column.text_of(value)
    style, arrow, word = ("up", "▲", _("up")) if value > 0 else ("down", "▼", _("down"))
    return format_html(
        '<span class="cp-{}"><span aria-hidden="true">{}</span> <span class="cp-sr">{}</span> {}</span>',
        style,
        arrow,
        word,
        column.text_of(abs(value)),
    )


def _cell_html(cell: Cell) -> str:
    title = format_html(' title="{}"', cell.title) if cell.title else ""
    html = format_html("<span{}>{}</span>", title, cell.text) if title else format_html("{}", cell.text)
    if cell.href:
        html = format_html('<a class="cp-down" href="{}"{}>{}</a>', cell.href, title, cell.text)
    if cell.choice:
        checked = mark_safe(" checked") if cell.is_chosen else ""
        box = '<input type="checkbox" name="brand" form="brand-choice" value="{}" aria-label="{}"{}> {}'
        return format_html(box, cell.choice, cell.title or cell.text, checked, html)
    return html
