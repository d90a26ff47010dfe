"""Keeps packages of others from importing what they can do without and we never use of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec


class _Refusal:
    """The first of the import system's finders: it finds an error instead of the named packages."""

    def __init__(self, packages: tuple[str, ...], error: type[Exception]) -> None:
        self._packages = packages
        self._error = error

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        if any(name == package or name.startswith(f"{package}.") for package in self._packages):
            raise self._error(f"{name} is not wanted here")
        return None


@contextmanager
def unwanted(*packages: str, error: type[Exception] = ImportError) -> Iterator[None]:
    """Refuse to import the packages within the block, as if they were not installed.

    ``error`` is what whoever imports them expects to be raised then.
    """
    refusal = _Refusal(packages, error)
    sys.meta_path.insert(0, refusal)
    try:
        yield
    finally:
        sys.meta_path.remove(refusal)
