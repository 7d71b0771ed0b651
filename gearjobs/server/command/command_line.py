"""Reads the command line, the configuration file and the environment as gearmand does.

Words are parsed as gearmand's parser (boost::program_options, guessing off) parses them: `--name=value`,
`--name value`, `-n value`, `-nvalue`, switches together (`-dR`), no abbreviation, no positional word, nothing twice; an
option takes the word behind it whatever that looks like. What comes first wins: command line, configuration file,
environment. Which options there are is the table in `options`; errors are gearmand's sentences where it has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from gearjobs.errors import SettingsError
from gearjobs.server.command.options import DEFAULT_CONFIG_FILE, Option

#: Option -> the texts given for it; a switch has the text "".
Given = dict[Option, list[str]]

_CONFIG_FILE: Final = "config-file"


class CommandLine:
    """Parser of one set of options.

    Args:
        options: all there are.
        environment: variables that may stand in for an option.
        default_config_file: read, if it exists, where no --config-file is given.
    """

    def __init__(
        self,
        options: Iterable[Option],
        *,
        environment: Mapping[str, str],
        default_config_file: str = DEFAULT_CONFIG_FILE,
    ) -> None:
        self._long: dict[str, Option] = {option.name: option for option in options}
        self._short: dict[str, Option] = {option.short: option for option in self._long.values() if option.short}
        self._environment = environment
        self._default_config_file = default_config_file

    def read(self, words: Sequence[str]) -> dict[str, Any]:
        """Return what was given, by field name; a switch is True.

        Raises:
            SettingsError: a word is no option, or its value does not fit; the sentence is for the terminal.
        """
        given = self._parse(words)
        for layer in (self._parse(self._words_of_config_file(given)), self._from_environment()):
            given = layer | given
        values: dict[str, Any] = {}
        for option, texts in given.items():
            read = [_read(option, text) for text in texts if text or not option.takes_empty]
            if read:
                values[option.field] = tuple(read) if option.is_repeatable else read[-1]
        return values

    def _parse(self, words: Sequence[str]) -> Given:
        given: Given = {}
        rest = list(reversed(words))
        while rest:
            word = rest.pop()
            if word == "--":
                if rest:
                    raise self._unknown(rest[-1])
            elif word.startswith("--"):
                self._take_long(word, rest, given)
            elif len(word) > 1 and word.startswith("-"):
                self._take_short(word, rest, given)
            else:
                raise self._unknown(word)
        return given

    def _take_long(self, word: str, rest: list[str], given: Given) -> None:
        name, equals, text = word[2:].partition("=")
        option = self._long.get(name)
        if option is None:
            raise self._unknown(word)
        if equals and not text:
            raise SettingsError(
                f"the argument for option '{option.spelling}' should follow immediately after the equal sign"
            )
        if equals and not option.argument:
            raise SettingsError(f"option '{option.spelling}' does not take any arguments")
        _note(option, text if equals else _argument(option, rest), given)

    def _take_short(self, word: str, rest: list[str], given: Given) -> None:
        letters = word[1:]
        while letters:
            option, letters = self._short.get(letters[0]), letters[1:]
            if option is None:
                raise self._unknown(word)
            if option.argument:
                _note(option, letters or _argument(option, rest), given)
                return
            _note(option, "", given)

    def _unknown(self, word: str) -> SettingsError:
        sentence = f"unrecognised option '{word}'"
        if word.startswith("-v"):
            return SettingsError(f"{sentence}; option -v has been deprecated, please use --verbose")
        near = get_close_matches(word.lstrip("-").partition("=")[0], self._long, n=1)
        return SettingsError(f"{sentence}; did you mean --{near[0]}?" if near and word.startswith("--") else sentence)

    def _words_of_config_file(self, given: Given) -> list[str]:
        named = given.get(self._long[_CONFIG_FILE], [""])[0]
        path = Path(named or self._default_config_file)
        try:
            lines = path.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            if str(path) == self._default_config_file:
                return []
            raise SettingsError(f"Could not open configuration file. {path}: {error}") from error
        return [word for line in lines if not line.lstrip().startswith("#") for word in line.split()]

    def _from_environment(self) -> Given:
        return {
            option: [text]
            for option in self._long.values()
            if option.environment and (text := self._environment.get(option.environment, ""))
        }


def _argument(option: Option, rest: list[str]) -> str:
    if not option.argument:
        return ""
    if not rest:
        raise SettingsError(f"the required argument for option '{option.spelling}' is missing")
    return rest.pop()


def _note(option: Option, text: str, given: Given) -> None:
    if option in given and not option.is_repeatable:
        raise SettingsError(f"option '{option.spelling}' cannot be specified more than once")
    given.setdefault(option, []).append(text)


def _read(option: Option, text: str) -> object:
    if not option.argument:
        return True
    try:
        return option.read(text)
    except ValueError as error:
        raise SettingsError(f"the argument ('{text}') for option '{option.spelling}' is invalid: {error}") from error
