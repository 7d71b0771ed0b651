"""The option table: complete, without contradictions, and in step with the configurations that it fills."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from itertools import chain

import pytest

from gearjobs.server.command.options import OPTIONS, Option
from gearjobs.server.command.process_config import ProcessConfig
from gearjobs.server.config import ServerConfig
from gearjobs.stores.queue_options import QueueOptions

ALL = tuple(chain.from_iterable(OPTIONS.values()))
#: Options that ask for something else than a server.
NOT_OF_A_SERVER = {"help", "version", "check-args", "config-file"}
#: Looked at when the configurations are made.
LOOKED_AT = {"protocol"}


def test_spellings_are_unique():
    spellings = Counter(chain.from_iterable((option.name, option.short) for option in ALL))
    del spellings[""]

    assert not [spelling for spelling, count in spellings.items() if count > 1]


@pytest.mark.parametrize("option", ALL, ids=lambda option: option.name)
def test_option_sets_a_field_or_says_that_it_is_ignored(option: Option):
    known = {one.name for kind in (ServerConfig, ProcessConfig, QueueOptions) for one in fields(kind)}

    assert (option.field in known) is not (option.is_ignored or option.name in NOT_OF_A_SERVER | LOOKED_AT)


@pytest.mark.parametrize("option", ALL, ids=lambda option: option.name)
def test_default_is_the_field_s(option: Option):
    defaults = {one.name: one.default for kind in (ServerConfig, ProcessConfig, QueueOptions) for one in fields(kind)}

    assert option.field == "verbose" or option.default == defaults.get(option.field)


def test_level_is_info_unless_another_is_given():
    assert next(option for option in ALL if option.name == "verbose").default == "INFO"
