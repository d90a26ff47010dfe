"""`manage.py simulate_collector`: run the simulator of the collection service in the foreground."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext_noop

from apps.core.management.base import TranslatedCommand
from apps.mengla.simulator.cli import add_flags, config_from_flags, run_until_signal


class Command(TranslatedCommand):
    """Runs the simulator; its key, secret and task name come from the settings by default."""

    help = gettext_noop("Run a simulator of the collection service. All figures it sends are made up.")
    examples = ("simulate_collector --port 8900",)
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the simulator's flags; none of them sets the environment, which only the settings do."""
        add_flags(parser)

    def handle(self, *args: object, **options: Any) -> None:
        """Run until SIGTERM or SIGINT."""
        config = config_from_flags(
            options,
            {
                "env": settings.ENV,
                "api_key": settings.COLLECT_SERVICE_API_KEY,
                "webhook_secret": settings.WEBHOOK_SECRET,
                "task_name": settings.COLLECT_TASK_NAME,
            },
        )
        try:
            run_until_signal(config, self._announce)
        except (OSError, RuntimeError) as error:
            raise CommandError(str(error)) from error

    def _announce(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
