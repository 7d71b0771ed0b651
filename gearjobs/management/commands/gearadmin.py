"""`manage.py gearadmin`: gearmand's tool of that name, for this project's job server unless another is named.

Its command line is gearmand's, so that it works after the program's name is replaced; the exit code is 0 or 1. What it
does is `gearjobs.terminal.gearadmin_program`'s.
"""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from gearjobs.errors import GearjobsError
from gearjobs.management.project_programs import DJANGO_OPTIONS, command_streams, project_home
from gearjobs.terminal.gearadmin_program import add_gearadmin_options, ask, gearadmin
from gearjobs.terminal.streams import EXIT_FAILURE, exit_code_of


class Command(BaseCommand):
    """Asks a job server's administrative protocol."""

    help = "Ask a job server what it does, and have it change that: gearmand's gearadmin."
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        exit_code = exit_code_of(lambda: self._run(argv[2:]))
        if exit_code:
            sys.exit(exit_code)

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # -h is the host.
        return super().create_parser(prog_name, subcommand, add_help=False, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """Describe the options for `call_command`."""
        add_gearadmin_options(parser)

    def handle(self, *args: object, **options: Any) -> None:
        """Do what `call_command` was asked for."""
        try:
            exit_code = ask(options, command_streams(self.stdout, self.stderr), home=project_home())
        except GearjobsError as error:
            raise CommandError(str(error)) from error
        if exit_code:
            raise CommandError("the job server refused")

    def print_help(self, prog_name: str, subcommand: str) -> None:
        self._run(["--help"])

    def _run(self, words: list[str]) -> int:
        streams = command_streams(self.stdout, self.stderr)
        try:
            home = project_home()
        except GearjobsError as error:
            streams.stderr(f"gearadmin: {error}\n".encode())
            return EXIT_FAILURE
        return gearadmin(words, streams, home=home, program="gearadmin", passed_over=DJANGO_OPTIONS)
