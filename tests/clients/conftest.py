"""One running product, and the clients that docs/clients.md makes of its document."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from subprocess import CompletedProcess

import pytest

from tests.clients.node import FOLDER
from tests.clients.page import Workplace
from tests.integration.conftest import run_stack
from tests.integration.stack import Shape, Stack

Results = dict[str, CompletedProcess[str]]
USAGE = "usage.mts"


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A web process, a worker cluster and the simulator; three collections of a caller may wait."""
    shape = Shape(web_workers=1, clusters=1, variables={"MAX_WAITING_PER_CALLER": "3"})
    yield from run_stack("clients", tmp_path_factory.mktemp("clients"), shape)


@pytest.fixture(scope="package")
def token(stack: Stack) -> str:
    """The text of a reader's token."""
    return stack.create_token()[0]


@pytest.fixture(scope="package")
def workplace(stack: Stack, token: str, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """The folder of somebody who follows the page, with its files and nothing generated yet."""
    folder = tmp_path_factory.mktemp("workplace")
    # The page installs the package; here it is imported from where it is.
    package = {"PYTHONPATH": str(folder / "mengla-client"), "MYPYPATH": "mengla-client"}
    made = Workplace(folder, {"MENGLA_URL": stack.url, "MENGLA_TOKEN": token, **package})
    made.save_files()
    return made


@pytest.fixture(scope="package")
def python_results(workplace: Workplace) -> Results:
    """What the commands about Python have said."""
    return workplace.follow("Python")


@pytest.fixture(scope="package")
def typescript_results(workplace: Workplace) -> Results:
    """What the commands about TypeScript have said; the check of types reads the tests' own file, too."""
    shutil.copy(FOLDER / USAGE, workplace.folder)
    return workplace.follow("TypeScript", also_checked=USAGE)


@pytest.fixture(scope="package")
def python_client(workplace: Workplace, python_results: Results) -> Iterator[None]:
    """The generated Python package, which can be imported now."""
    sys.path.insert(0, str(workplace.folder / "mengla-client"))
    yield
    sys.path.remove(str(workplace.folder / "mengla-client"))
    for name in [name for name in sys.modules if name.partition(".")[0] == "mengla_client"]:
        del sys.modules[name]


def output_of(program: str, results: Results) -> str:
    """Return what the one command with this program has printed; it has succeeded."""
    ((command, result),) = [one for one in results.items() if program in one[0]]
    output = result.stdout + result.stderr
    assert result.returncode == 0, f"{command}\n{output}"
    return output.strip()
