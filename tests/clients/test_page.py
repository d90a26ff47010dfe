"""The examples of docs/clients.md do what the page says."""

from __future__ import annotations

import json
import re

import pytest

from tests.clients.conftest import Results, output_of
from tests.clients.node import FOLDER
from tests.clients.page import Workplace, named_versions
from tests.programs import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

EXAMPLES = [("python", "figures.py", "WAIT_SECONDS = 20"), ("node", "figures.mts", "wait: 20")]


def test_both_examples_print_the_same_figures(python_results: Results, typescript_results: Results) -> None:
    of_python = output_of("python figures.py", python_results).splitlines()
    of_typescript = output_of("node figures.mts", typescript_results).splitlines()
    assert len(of_python) == len(of_typescript) >= 10
    assert [line.split()[0] for line in of_python] == [line.split()[0] for line in of_typescript]


@pytest.mark.usefixtures("python_results", "typescript_results")
@pytest.mark.parametrize(("program", "name", "wait"), EXAMPLES)
def test_an_example_asks_again_when_it_is_told_to(
    workplace: Workplace, program: str, name: str, wait: str
) -> None:
    text = (workplace.folder / name).read_text("utf-8")
    assert wait in text
    # Nothing is stored of this year, and the first response is 202.
    changed = text.replace(wait, wait.replace("20", "0")).replace("2025-06", f"2022-{len(program):02}")
    (workplace.folder / f"again_{name}").write_text(changed, "utf-8")
    result = workplace.run(f"{program} again_{name}")
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) >= 10


@pytest.mark.usefixtures("python_results", "typescript_results")
@pytest.mark.parametrize(("program", "name", "wait"), EXAMPLES)
def test_an_example_says_what_is_wrong(workplace: Workplace, program: str, name: str, wait: str) -> None:
    result = workplace.run(f"MENGLA_TOKEN=mlc_unknown {program} {name}")
    assert result.returncode == 1
    assert "UNAUTHENTICATED: " in result.stderr


def test_the_page_names_the_versions_that_the_tests_use() -> None:
    packages = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    text = (ROOT / "requirements-dev.txt").read_text()
    used = dict(re.findall(r"^([\w-]+)==(\S+)", text, flags=re.MULTILINE)) | packages
    named = named_versions()
    assert {name: used.get(name) for name in named} == named
    assert {"openapi-python-client", "openapi-typescript", "openapi-fetch", "typescript"} <= set(named)
