"""The output of quickstart."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from apps.launcher.quickstart.first_figures import Figures
from apps.launcher.quickstart.stack import Prepared, Stack

WIDTH = 100
SHOWN_ROWS = 10


class Report:
    """Writes for people, to a terminal or a file; characters that cannot be encoded are replaced."""

    def __init__(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
        self._console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)

    def line(self, label: str, text: str) -> None:
        """Write one line with a label, such as a finished step."""
        self.say(f"  {label:<12} {text}")

    def say(self, text: str = "") -> None:
        """Write a line of plain text."""
        self._console.print(text, markup=False, soft_wrap=True)

    def prepared(self, prepared: Prepared) -> None:
        """Report the categories and the admin."""
        origin = "the sample tree, just imported" if prepared.are_categories_new else "unchanged"
        self.line("Categories", f"{prepared.categories} ({origin})")
        self.line("Admin", f"{prepared.username} ({'created' if prepared.is_admin_new else 'unchanged'})")

    def figures(self, figures: Figures) -> None:
        """Write the figures as a table, and where they came from."""
        table = Table(title=f"Best sellers of {figures.category}, {figures.month}", title_justify="left")
        table.add_column("Category", overflow="ellipsis", no_wrap=True, max_width=36)
        for heading in ("SKUs", "Sales/month", "GMV/month ₽", "GMV/month ¥", "Change"):
            table.add_column(heading, justify="right", no_wrap=True)
        for row in figures.rows[:SHOWN_ROWS]:
            table.add_row(
                str(row.get("catNameCn") or row.get("catName") or "?"),
                _number(row.get("skuNum")),
                _number(row.get("monthSales")),
                _number(row.get("monthGmv")),
                _number(row.get("monthGmvRmb")),
                _percent(row.get("monthSalesDynamics")),
            )
        self.say()
        self._console.print(table)
        shown = min(SHOWN_ROWS, len(figures.rows))
        self.say(f"{shown} of {len(figures.rows)} rows of GET {figures.address}")
        self.say("    ".join(f"{name}: {value}" for name, value in figures.headers.items()))
        how = "just collected and delivered by webhook" if figures.was_collected else "already stored"
        self.say(f"The figures were {how}. The API served them.")

    def addresses(self, stack: Stack, prepared: Prepared) -> None:
        """Write every address and the login."""
        self.say()
        self.line("API", f"{stack.web_url}/api/")
        self.line("API docs", f"{stack.web_url}/api/docs")
        self.line("Admin", f"{stack.web_url}/{prepared.admin_path}")
        self.line("Health", f"{stack.web_url}/health and {stack.web_url}/ready")
        if stack.simulator_url:
            self.line("Simulator", f"{stack.simulator_url}/stats (it serves made-up figures)")
        self.line("Logs", str(stack.logs))
        self.line(
            "Commands",
            ". .local/env.sh && .venv/bin/python manage.py help (in another terminal, in this directory)",
        )
        self.login(prepared)

    def login(self, prepared: Prepared) -> None:
        """Write the login of the admin; the password is shown only when this run has generated it."""
        is_shown = prepared.is_admin_new and prepared.is_password_new
        shown = f" {prepared.password} (shown only now; it is ADMIN_PASSWORD in .env)" if is_shown else ""
        self.line("Login", f"user {prepared.username}, password{shown or ': the one in ADMIN_PASSWORD'}")


def _number(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) else "-"


def _percent(value: Any) -> str:
    return f"{value:+.1f} %" if isinstance(value, int | float) else "-"
