"""docs/settings.md, written from the option table of the job server and the classes of GEARJOBS.

Sentences and defaults are theirs; here is only the page's shape and what it says between the tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Final, get_type_hints

from gearjobs.server.command.option_help import default_text
from gearjobs.server.command.options import OPTIONS, Option
from gearjobs.settings import SETTING_NAME, GearjobsSettings
from scripts.written_docs.field_sentences import field_sentences

PATH: Final = "docs/settings.md"

_INTRODUCTION: Final = f"""# Settings

None are needed. What follows is for sites that want something else than the defaults; how tasks are enqueued is
Django's own setting `TASKS`.

## `{SETTING_NAME}`

A dictionary in the project's settings. `manage.py check` names every unknown key and wrong value.
"""

_COMMAND: Final = """
## The command line of `manage.py runjobserver`

It is gearmand's: replace the program's name and a gearmand command line works. Long options are written in full,
`--name=value` or `--name value`, short ones `-n value` or `-nvalue`; switches may be joined (`-dR`). Wrong options end
with exit code 1, `--help` and `--version` with 0. What is given first wins:

1. the command line,
2. the configuration file (`--config-file`): the same options, divided by white space; a line that begins with `#` is a
   comment,
3. environment variables, where the table names one,
4. `GEARJOBS["SERVER"]`, for the keys above,
5. the default.

`--check-args` reads the first three and ends with 0 or 1; it touches no other file and listens nowhere.

SIGTERM and SIGINT commit what is pending and end with 0; SIGUSR1 takes no new connections and ends with the last one;
SIGHUP opens the log file again. What differs from gearmand on purpose is in
[gearmand-differences.md](gearmand-differences.md).
"""


def render() -> str:
    """Return the page."""
    parts = [_INTRODUCTION, *_sections(GearjobsSettings, SETTING_NAME), _COMMAND]
    parts += [_option_table(heading, options) for heading, options in OPTIONS.items()]
    return "".join(parts)


def _sections(section: type, path: str) -> Iterator[str]:
    """Yield the table of a class of settings, then those of the classes within."""
    kinds, sentences = get_type_hints(section), field_sentences(section)
    within = {one.name for one in fields(section) if is_dataclass(kinds[one.name])}
    rows = [
        f"| `{one.name.upper()}` | {_default(one)} | {sentences[one.name]} |"
        for one in fields(section)
        if one.name not in within
    ]
    yield "\n".join([f"\n### `{path}`\n", "| key | default | meaning |", "|---|---|---|", *rows, ""])
    for name in (one.name for one in fields(section) if one.name in within):
        yield from _sections(kinds[name], f'{path}["{name.upper()}"]')


def _default(one: Field[Any]) -> str:
    if one.default is MISSING:
        return "see there"
    value = list(one.default) if isinstance(one.default, tuple) else one.default
    return f"`{value!r}`"


def _option_table(heading: str, options: Sequence[Option]) -> str:
    rows = [_option_row(option) for option in options]
    return "\n".join([f"\n### {heading}\n", "| option | default | meaning |", "|---|---|---|", *rows, ""])


def _option_row(option: Option) -> str:
    spelling = ", ".join([*([f"-{option.short}"] if option.short else []), option.spelling])
    shown = f"`{spelling} {option.argument}`" if option.argument else f"`{spelling}`"
    default = default_text(option)
    sentence = option.sentence
    if option.environment:
        sentence += f" Environment: `{option.environment}`."
    return f"| {shown} | {f'`{default}`' if default else ''} | {sentence} |"
