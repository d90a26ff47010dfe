"""The examples of the page for analysts run against a real server, and return the right figures.

Curl, pandas, DuckDB and PyArrow are the real ones. Excel is not: Microsoft's parser reads its queries, and
tests/analysts/m_language.py evaluates them. So their requests, columns and types are proved here; how Excel
asks for credentials and where it keeps the token is not.
"""

from __future__ import annotations

import ast
import csv
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from apps.core.periods import parse_period, period_range
from tests.analysts.figures import EMPTY, FIRST_MONTH, LAST_MONTH, MISSING, PROVISIONAL_MONTH
from tests.analysts.m_language import QueryError, evaluate, parse
from tests.analysts.notebook import Notebook
from tests.analysts.pages import ENGLISH, blocks_of, code_of
from tests.analysts.site import Site
from tests.missing import leave_out

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]
MONTHS = [month.dashed for month in period_range(parse_period(FIRST_MONTH), parse_period(LAST_MONTH))]
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def notebook(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """The whole page, run once from its beginning to its end."""
    if shutil.which("curl") is None:
        leave_out("the first example needs curl, and the others go on from there")
    notebook = Notebook(tmp_path_factory.mktemp("notebook"))
    with pytest.MonkeyPatch.context() as patch:
        (exports,) = code_of("", starts="export ")
        variables = {"MENGLA_URL": site.url, "MENGLA_TOKEN": site.token}
        names = [line.partition("=")[0] for line in exports.splitlines()]
        assert names == [f"export {name}" for name in variables]
        for name, value in variables.items():
            patch.setenv(name, value)
        for block in blocks_of(ENGLISH):
            notebook.run(block)
        yield notebook


@pytest.fixture(scope="module")
def queries() -> dict[str, Any]:
    """The syntax trees of the queries for Excel, by the names that the page gives them."""
    trees = parse(code_of("powerquery"))
    return dict(zip(("Export", "Figures", "Missing"), trees, strict=True))


@pytest.fixture(scope="module")
def export(queries: dict[str, Any], site: Site) -> Rows:
    """What the query Export returns."""
    lines: Rows = evaluate(queries["Export"], {"Server": site.url, "Token": site.token})
    return lines


def piece_with(text: str) -> str:
    """The one piece of Python on the page that has this text."""
    (found,) = [code for code in code_of("python") if text in code]
    return found


@contextmanager
def serving(body: bytes) -> Iterator[str]:
    """Run a server that answers every request with this body; gives its address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class TestCurl:
    def test_a_year_of_all_categories_is_one_file(self, notebook: Notebook) -> None:
        with (notebook.directory / "hot.csv").open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        hot = notebook.names["hot"]
        assert len(rows) == len(hot)
        assert [row["catNameCn"] for row in rows] == list(hot["catNameCn"])
        headers = dict(line.lower().split(": ", 1) for line in notebook.printed[0].splitlines())
        assert headers["x-mengla-export-missing"] == str(len(MISSING))
        assert headers["x-mengla-export-empty"] == str(len(EMPTY))
        assert headers["x-mengla-provisional"] == "1"


class TestPandas:
    def test_a_year_of_thirty_categories_is_one_request(self, notebook: Notebook, site: Site) -> None:
        hot, end = notebook.names["hot"], notebook.names["end"]
        assert len(site.cat_ids) == 30
        assert end["records"] == len(site.cat_ids) * len(MONTHS) - len(MISSING)
        places = {(row.catId, row.period) for row in hot.itertuples()}
        everything = {(cat_id, month) for cat_id in site.cat_ids for month in MONTHS}
        assert places == everything - MISSING - EMPTY

    def test_the_figures_are_those_of_single_queries(self, notebook: Notebook, site: Site) -> None:
        hot = notebook.names["hot"]
        rows = site.figures("hot", "4200", timest="2025-06")["list"]
        own = hot[(hot["catId"] == "4200") & (hot["period"] == "2025-06")]
        assert list(own["rank"]) == list(range(1, len(rows) + 1))
        for name in ("catNameCn", "monthSales", "monthGmv", "monthGmvDynamics", "saleRatio"):
            assert list(own[name]) == [row[name] for row in rows], name

    def test_it_says_what_is_missing(self, notebook: Notebook, site: Site) -> None:
        lines = notebook.printed[2].splitlines()
        assert lines == [
            "missing: 4300: 2025-03..2025-05",
            "missing: 4400: 2025-10",
            "empty: 4400: 2025-07",
            *(f"provisional: {cat_id}: {PROVISIONAL_MONTH}" for cat_id in site.cat_ids),
        ]

    def test_the_pivot_has_the_turnover_of_each_category_and_month(
        self, notebook: Notebook, site: Site
    ) -> None:
        turnover = notebook.names["turnover"]
        assert turnover.shape == (12, 30)
        found = {
            (cat_id, str(month)): value
            for (cat_id, _name), column in turnover.items()
            for month, value in column.items()
        }
        assert found == site.turnover(site.cat_ids)

    def test_the_change_is_that_of_the_month_before(self, notebook: Notebook, site: Site) -> None:
        change, expected = notebook.names["change"], site.turnover(site.cat_ids)
        assert change.iloc[0].isna().all()
        for (cat_id, _name), value in change.loc["2025-11"].items():
            before, now = expected[cat_id, "2025-10"], expected[cat_id, "2025-11"]
            assert value == pytest.approx(100 * (now / before - 1))

    def test_a_gap_stays_a_gap(self, notebook: Notebook) -> None:
        """The same code on a trend without one month."""
        pivot, compare = piece_with("pivot("), piece_with("pct_change(")
        whole = notebook.names["trend"]
        names = {
            **notebook.names,
            "read_figures": lambda _query: (whole[whole["period"] != "2025-05"].copy(), {}),
        }
        Notebook(notebook.directory, names).run_python(pivot + compare)
        change = names["change"]
        empty = [str(month) for month, row in change.iterrows() if row.isna().all()]
        assert empty == ["2025-01", "2025-05", "2025-06"]

    def test_subcategories_are_selected_by_their_ids(self, notebook: Notebook, site: Site) -> None:
        assert notebook.names["ids"] == "4201,4202,4203,4204"
        expected = site.turnover(notebook.names["ids"].split(","))
        rows = notebook.names["children"].itertuples()
        assert {(row.catId, row.period): row.monthGmv for row in rows} == expected

    def test_csv_keeps_ids_as_texts(self, notebook: Notebook) -> None:
        views, prices = notebook.names["views"], notebook.names["prices"]
        assert set(views["view"]) == {"sales", "turnover", "prices", "brands"}
        assert set(views["catId"]) == {"4200"}
        brands = views[views["view"] == "brands"]
        assert brands["brandCatId"].map(str.isdigit).all()
        assert prices["salesRate"].sum() == pytest.approx(100)

    def test_parquet_has_types_and_names_what_is_missing(self, notebook: Notebook) -> None:
        best, hot = notebook.names["best"], notebook.names["hot"]
        assert list(best["monthGmv"]) == list(hot["monthGmv"])
        assert best["rank"].dtype == "int64"
        assert notebook.names["summary"]["missing"] == [
            {"catId": "4300", "periods": ["2025-03..2025-05"]},
            {"catId": "4400", "periods": ["2025-10"]},
        ]

    def test_a_refusal_says_why(self, notebook: Notebook) -> None:
        with pytest.raises(RuntimeError, match="VALIDATION_ERROR"):
            notebook.names["read_figures"]({"action": "hot", "from": "2025-13", "to": "2025-12"})

    @pytest.mark.parametrize("body", [b"", b'{"catId": "4200"}\n'])
    def test_a_file_that_is_cut_off_is_refused(
        self, notebook: Notebook, body: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with serving(body) as url:
            monkeypatch.setitem(notebook.names, "EXPORT", url)
            with pytest.raises(RuntimeError, match="cut off"):
                notebook.names["read_figures"]({})


class TestDuckDB:
    def test_top_movers(self, notebook: Notebook, site: Site) -> None:
        expected = site.turnover(site.cat_ids)
        changes = {
            cat_id: round(100 * (expected[cat_id, "2025-11"] / expected[cat_id, "2025-10"] - 1), 2)
            for cat_id in site.cat_ids
        }
        rows = notebook.tables[0]
        assert [row["change_percent"] for row in rows] == sorted(changes.values(), reverse=True)[:10]
        assert all(row["change_percent"] == changes[row["catId"]] for row in rows)

    def test_climbers(self, notebook: Notebook) -> None:
        hot = notebook.names["hot"]
        key = ["catId", "catId3"]
        before, now = (hot[hot["period"] == month].set_index(key)["rank"] for month in ("2025-10", "2025-11"))
        climbed = (before - now).dropna().sort_values(ascending=False)
        rows = notebook.tables[1]
        assert [row["places"] for row in rows] == list(climbed[:10])
        assert all(row["rank_before"] - row["rank_now"] == row["places"] for row in rows)

    def test_a_csv_file_can_be_read(self, notebook: Notebook) -> None:
        (row,) = notebook.run_sql("SELECT count(*) AS rows, max(rank) AS places FROM 'hot.csv'")
        assert row == {"rows": len(notebook.names["hot"]), "places": notebook.names["hot"]["rank"].max()}

    def test_the_local_copy_has_what_was_read(self, notebook: Notebook) -> None:
        counts = notebook.names["hot"].groupby("period").size()
        assert {row["period"]: row["places"] for row in notebook.tables[2]} == dict(counts)


class TestPowerQuery:
    def test_figures(self, queries: dict[str, Any], export: Rows, notebook: Notebook) -> None:
        figures, hot = evaluate(queries["Figures"], {"Export": export}), notebook.names["hot"]
        assert len(figures) == len(hot)
        for name in (
            "catId",
            "category",
            "period",
            "provisional",
            "rank",
            "catNameCn",
            "monthSales",
            "monthGmvRmb",
        ):
            assert [row[name] for row in figures] == list(hot[name]), name
        assert [row["monthGmvDynamics"] for row in figures] == list(hot["monthGmvDynamics"] / 100)

    def test_every_column_is_one_of_the_export(self, queries: dict[str, Any], export: Rows) -> None:
        (row, *_) = evaluate(queries["Figures"], {"Export": export})
        assert set(row) <= set(export[0])

    def test_what_is_missing(self, queries: dict[str, Any], export: Rows) -> None:
        assert evaluate(queries["Missing"], {"Export": export}) == [
            {"catId": "4300", "periods": "2025-03..2025-05"},
            {"catId": "4400", "periods": "2025-10"},
        ]

    def test_a_file_that_is_cut_off_is_refused(self, queries: dict[str, Any], export: Rows) -> None:
        with pytest.raises(QueryError, match="cut off"):
            evaluate(queries["Figures"], {"Export": export[:-1]})

    def test_a_wrong_token_is_refused(self, queries: dict[str, Any], site: Site) -> None:
        with pytest.raises(QueryError, match="UNAUTHENTICATED"):
            evaluate(queries["Export"], {"Server": site.url, "Token": "mlc_wrong"})


class TestLocalCopy:
    def test_only_months_that_are_not_final_are_read_again(self, notebook: Notebook) -> None:
        open_months = sorted({month for _, month in MISSING | EMPTY} | {PROVISIONAL_MONTH})
        assert notebook.printed[-1].splitlines() == [f"read: {MONTHS}", f"read: {open_months}"]
        final = {path.name.partition(".")[0] for path in (notebook.directory / "hot").glob("*.final.parquet")}
        assert final == set(MONTHS) - set(open_months)

    def test_what_the_server_has_deleted_stays_in_it(self, notebook: Notebook, site: Site) -> None:
        ((_cat_id, month),) = EMPTY  # so it is read again each time
        show = f'print(pd.read_parquet("hot/{month}.open.parquet")["catId"].value_counts().to_dict())\n'
        before = notebook.run_python(show)
        assert "'4200'" in before
        site.stack.caller.call("tests.analysts.figures.delete_best_sellers", cat_id="4200", month=month)
        notebook.run_python(f'update("hot", "hot", "{month}", "{month}")\n')
        after = notebook.run_python(show)
        assert ast.literal_eval(after) == ast.literal_eval(before)

    def test_a_month_that_is_filled_is_read_once_more(self, notebook: Notebook, site: Site) -> None:
        """The last test of all, for it changes what is stored."""
        (place,) = [place for place in MISSING if place[1] == "2025-10"]
        store = "tests.analysts.figures.store_best_sellers"
        site.stack.caller.call(store, cat_id=place[0], month=place[1])
        update = 'print(update("hot", "hot", "2025-10", "2025-11"))\n'
        assert notebook.run_python(2 * update).splitlines() == ["['2025-10']", "[]"]
