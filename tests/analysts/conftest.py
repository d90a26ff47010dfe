"""The product with a year of figures, for the examples of the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.analysts.pages import code_of
from tests.analysts.site import Site
from tests.integration.conftest import pytest_runtest_makereport, run_stack
from tests.integration.stack import Shape

__all__ = ["pytest_runtest_makereport"]  # shows the ends of the logs beside a failure


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One web process; the token is what the command on the page prints."""
    (token_command,) = code_of("", starts="python manage.py tokens")
    kept = {f"RETENTION_{name}_DAYS": "36500" for name in ("DAY", "MONTH", "QUARTER", "YEAR")}
    shape = Shape(web_workers=1, clusters=0, variables=kept)
    for stack in run_stack("analysts", tmp_path_factory.mktemp("analysts"), shape):
        cat_ids = stack.caller.call("tests.analysts.figures.store")
        output = stack.caller.call("tests.analysts.figures.run_command", line=token_command)
        yield Site(stack, stack.remember(output.split()[0]), tuple(cat_ids))
