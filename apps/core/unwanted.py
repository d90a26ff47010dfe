"""Keeps third-party packages from importing optional dependencies that we never use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec


class _Refusal:
    """An import finder that raises an error for the named packages."""

    def __init__(self, packages: tuple[str, ...], error: type[Exception]) -> None:
        self._packages = packages
        self._error = error

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        if any(name == package or name.startswith(f"{package}.") for package in self._packages):
            raise self._error(f"the import of {name} is blocked")
        return None


@contextmanager
def unwanted(*packages: str, error: type[Exception] = ImportError) -> Iterator[None]:
    """Block imports of the packages within the block, as if they were not installed.

    ``error`` is the exception that the importing code expects then.
    """
    refusal = _Refusal(packages, error)
    sys.meta_path.insert(0, refusal)
    try:
        yield
    finally:
        sys.meta_path.remove(refusal)
