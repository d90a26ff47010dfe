"""The generators have nothing to say about the document, and type checkers nothing about the clients."""

from __future__ import annotations

import re
import sys

import pytest

from tests.clients.conftest import Results, output_of
from tests.clients.page import Workplace

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]


def test_the_python_client_is_generated_without_a_warning(python_results: Results) -> None:
    assert re.fullmatch(
        r"Generating .*mengla-client", output_of("openapi-python-client generate", python_results)
    )


def test_the_typescript_types_are_generated_without_a_warning(typescript_results: Results) -> None:
    output = output_of("npx openapi-typescript", typescript_results)
    assert re.fullmatch(r"✨ openapi-typescript [\d.]+\n🚀 \S+ → mengla\.d\.ts \[[\w.]+\]", output)


def test_strict_mypy_accepts_the_python_client_and_the_example(
    workplace: Workplace, python_results: Results
) -> None:
    # dateutil has no types of its own.
    options = "--strict --config-file= --ignore-missing-imports --no-incremental --no-warn-unused-ignores"
    result = workplace.run(f"'{sys.executable}' -m mypy {options} mengla-client/mengla_client figures.py")
    assert result.returncode == 0, result.stdout + result.stderr


def test_strict_typescript_accepts_the_types_and_what_uses_them(typescript_results: Results) -> None:
    assert output_of("npx tsc", typescript_results) == ""
