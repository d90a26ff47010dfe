"""Packages that are refused while others are imported."""

from __future__ import annotations

import importlib
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from apps.core.unwanted import unwanted

UNLOADED = "this"  # of the standard library; no program needs it


@pytest.fixture(autouse=True)
def unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, UNLOADED, raising=False)


def test_an_unwanted_package_seems_not_to_be_installed() -> None:
    with unwanted(UNLOADED), pytest.raises(ImportError):
        importlib.import_module(UNLOADED)


def test_the_error_is_the_one_that_is_expected() -> None:
    with (
        unwanted("django.contrib.gis", error=ImproperlyConfigured),
        pytest.raises(ImproperlyConfigured, match="gis"),
    ):
        importlib.import_module("django.contrib.gis.gdal")


def test_packages_of_a_similar_name_are_wanted() -> None:
    with unwanted(UNLOADED[:-1]):
        assert importlib.util.find_spec(UNLOADED) is not None


def test_what_follows_the_block_may_import_everything() -> None:
    before = list(sys.meta_path)
    with pytest.raises(ZeroDivisionError), unwanted(UNLOADED):
        raise ZeroDivisionError
    assert sys.meta_path == before
    assert importlib.util.find_spec(UNLOADED) is not None
