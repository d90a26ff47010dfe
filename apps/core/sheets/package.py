"""The parts of a workbook besides its rows, as XML: ECMA-376, part 1, sections 12.3 and 18.2, and part 2."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from apps.core.sheets.cells import MAIN, XML, column_letters, styles_xml

_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_CONTENT = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_RELATIONS_TYPE = "application/vnd.openxmlformats-package.relationships+xml"
_FROZEN = (
    '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/><selection pane="bottomLeft"/>'
)


def sheet_head(widths: Sequence[float], *, has_titles: bool, is_first: bool) -> str:
    """Return the beginning of a sheet, up to its rows; ``widths`` are those of its columns."""
    selected = ' tabSelected="1"' if is_first else ""
    frozen = _FROZEN if has_titles else ""
    columns = "".join(
        f'<col min="{number}" max="{number}" width="{width:.2f}" customWidth="1"/>'
        for number, width in enumerate(widths, start=1)
    )
    listed = f"<cols>{columns}</cols>" if columns else ""
    return (
        f'{XML}<worksheet xmlns="{MAIN}"><sheetViews><sheetView{selected} workbookViewId="0">{frozen}'
        f'</sheetView></sheetViews><sheetFormatPr defaultRowHeight="15"/>{listed}<sheetData>'
    )


def sheet_foot(filtered: str) -> str:
    """Return the end of a sheet; ``filtered`` are the cells with filters, such as A1:C9, or empty."""
    ending = f'<autoFilter ref="{filtered}"/>' if filtered else ""
    return f"</sheetData>{ending}</worksheet>"


def package_parts(names: Sequence[str], filtered: Sequence[str]) -> dict[str, str]:
    """Return the parts besides the sheets by their places in the file.

    ``names`` and ``filtered`` are those of the sheets, in order.
    """
    numbers = range(1, len(names) + 1)
    sheets = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{number}" r:id="rId{number}"/>'
        for number, name in zip(numbers, names, strict=True)
    )
    filters = "".join(_filter(place, *one) for place, one in enumerate(zip(names, filtered, strict=True)))
    defined = f"<definedNames>{filters}</definedNames>" if filters else ""
    related = "".join(
        _relation(number, "worksheet", f"worksheets/sheet{number}.xml") for number in numbers
    ) + _relation(len(names) + 1, "styles", "styles.xml")
    types = "".join(_type(f"worksheets/sheet{number}.xml", "worksheet") for number in numbers)
    types += _type("workbook.xml", "sheet.main") + _type("styles.xml", "styles")
    document = _relation(1, "officeDocument", "xl/workbook.xml")
    return {
        "xl/workbook.xml": (
            f'{XML}<workbook xmlns="{MAIN}" xmlns:r="{_DOCUMENT}"><bookViews><workbookView activeTab="0"/>'
            f"</bookViews><sheets>{sheets}</sheets>{defined}</workbook>"
        ),
        "xl/styles.xml": styles_xml(),
        "xl/_rels/workbook.xml.rels": _relations(related),
        "_rels/.rels": _relations(document),
        "[Content_Types].xml": (
            f'{XML}<Types xmlns="{_PACKAGE}/content-types">'
            f'<Default Extension="rels" ContentType="{_RELATIONS_TYPE}"/>'
            f'<Default Extension="xml" ContentType="application/xml"/>{types}</Types>'
        ),
    }


def _relations(listed: str) -> str:
    return f'{XML}<Relationships xmlns="{_PACKAGE}/relationships">{listed}</Relationships>'


def _relation(number: int, kind: str, target: str) -> str:
    return f'<Relationship Id="rId{number}" Type="{_DOCUMENT}/{kind}" Target="{target}"/>'


def _type(part: str, kind: str) -> str:
    return f'<Override PartName="/xl/{part}" ContentType="{_CONTENT}.{kind}+xml"/>'


def filtered_cells(columns: int, rows: int) -> str:
    """Return the name of the cells from the first one to the last one of so many columns and rows."""
    return f"A1:{column_letters(columns)[-1]}{rows}"


def _filter(place: int, name: str, cells: str) -> str:
    """Return the hidden name by which spreadsheet programs know the filtered cells of a sheet."""
    if not cells:
        return ""
    fixed = re.sub(r"([A-Z]+)([0-9]+)", r"$\1$\2", cells)
    quoted = escape(name.replace("'", "''"))
    return (
        f'<definedName name="_xlnm._FilterDatabase" localSheetId="{place}" hidden="1">'
        f"'{quoted}'!{fixed}</definedName>"
    )
