"""Commands with subcommands, such as ``tokens list``; each subcommand is a method of the command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.core.management.base import CommandParser
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from apps.core.management.base import CollectorCommand, ExitCode

Options = Mapping[str, Any]
Result = tuple[Mapping[str, Any], str, ExitCode]


class SubcommandsMixin(CollectorCommand):
    """Declares the subcommands and runs the one that was given.

    ``subcommands`` maps each name to its help, marked with ``gettext_noop``. The method of ``warm-up`` is
    ``do_warm_up(options)``; ``add_warm_up(parser)`` adds its arguments, if there are any. Those in ``asking``
    change something: they ask, unless ``--yes``.
    """

    subcommands: ClassVar[Mapping[str, str]]
    asking: ClassVar[frozenset[str]] = frozenset()

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the subcommands; the common options belong to each of them."""
        kinds = parser.add_subparsers(dest="subcommand", required=True, metavar="|".join(self.subcommands))
        for name, help_text in self.subcommands.items():
            text = _(help_text)
            one = kinds.add_parser(name, help=text, description=f"{capfirst(text)}.", allow_abbrev=False)
            add_own: Callable[[CommandParser], None] | None = getattr(self, f"add_{_method(name)}", None)
            if add_own is not None:
                add_own(one)
            super().add_arguments(one)
            if name in self.asking:
                self.add_confirmation(one)

    def run(self, **options: Any) -> Result:
        """Run the subcommand."""
        do: Callable[[Options], Result] = getattr(self, f"do_{_method(options['subcommand'])}")
        return do(options)


def _method(name: str) -> str:
    return name.replace("-", "_")
