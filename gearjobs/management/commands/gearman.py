"""`manage.py gearman`: gearmand's tool of that name, for this project's job servers unless another is named.

It submits jobs from a terminal, or works at functions with a command. Its command line is gearmand's, so that it works
after the program's name is replaced; the exit code is 0 or 1. What it does is `gearjobs.terminal.gearman_program`'s.
"""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from gearjobs.errors import GearjobsError
from gearjobs.management.project_programs import DJANGO_OPTIONS, command_streams, project_home
from gearjobs.terminal.gearman_program import gearman
from gearjobs.terminal.streams import EXIT_FAILURE, exit_code_of


class Command(BaseCommand):
    """Submits jobs from a terminal, or works at functions with a command."""

    help = "Submit jobs from a terminal, or work at functions with a command: gearmand's gearman."
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        exit_code = exit_code_of(lambda: self._run(argv[2:]))
        if exit_code:
            sys.exit(exit_code)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take a whole command line from `call_command("gearman", "--", "-f", ...)`."""
        parser.add_argument("words", nargs="*")

    def handle(self, *args: object, **options: Any) -> None:
        """Do what `call_command` was asked for."""
        if exit_code := self._run(options["words"]):
            raise CommandError("a job failed, or none could be submitted", returncode=exit_code)

    def print_help(self, prog_name: str, subcommand: str) -> None:
        self._run(["-H"])

    def _run(self, words: list[str]) -> int:
        streams = command_streams(self.stdout, self.stderr)
        try:
            home = project_home()
        except GearjobsError as error:
            streams.stderr(f"gearman: {error}\n".encode())
            return EXIT_FAILURE
        return gearman(words, streams, home=home, program="gearman", passed_over=DJANGO_OPTIONS)
