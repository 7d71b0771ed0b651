"""What `--help` prints: the option table in the shape of gearmand's help.

Sentences and defaults are the table's (`options`); hidden options are left out. Source: boost::program_options.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Final

from gearjobs.server.command.options import Option

#: Column of the sentences, and the last column, as boost::program_options has them.
_SENTENCE_COLUMN: Final = 40
_LAST_COLUMN: Final = 80


def render_help(groups: Mapping[str, Sequence[Option]]) -> str:
    """Return the help of all options that are not hidden, by their groups."""
    parts = ["Allowed options:"]
    for heading, options in groups.items():
        lines = [_option_lines(option) for option in options if not option.is_hidden]
        parts.append("\n".join([f"{heading}:", *lines]))
    return "\n\n".join(parts) + "\n"


def default_text(option: Option) -> str:
    """Return an option's default as people write it; "" where its sentence says what happens without it."""
    match option.default:
        case None | "" | bool():
            return ""
        case 0 if option.name == "file-descriptors":
            return ""
        case tuple() as several:
            return ", ".join(several)
        case value:
            return str(value)


def _option_lines(option: Option) -> str:
    shown = f"  -{option.short} [ {option.spelling} ]" if option.short else f"  {option.spelling}"
    if option.argument:
        shown += f" {option.argument}"
        if default := default_text(option):
            shown += f" (={default})"
    first = shown.ljust(_SENTENCE_COLUMN)
    if len(shown) >= _SENTENCE_COLUMN:
        return f"{shown}\n{_wrapped(option.sentence, ' ' * _SENTENCE_COLUMN)}"
    return _wrapped(option.sentence, first)


def _wrapped(sentence: str, first: str) -> str:
    rest = " " * _SENTENCE_COLUMN
    return textwrap.fill(sentence, _LAST_COLUMN, initial_indent=first, subsequent_indent=rest)
