"""python-gearman's exceptions, under their old names.

They hang in gearjobs' own tree, so that `except gearjobs.errors.GearjobsError` catches them too. `ConnectionError` is
python-gearman's, not Python's; programs name it `gearman.errors.ConnectionError`. Wrong calls, for which python-gearman
raised AssertionError, ValueError or KeyError, have classes of their own here, which `except` clauses for those catch.
"""

from __future__ import annotations

from gearjobs.errors import GearjobsError


class GearmanError(GearjobsError):
    """The root of python-gearman's exceptions."""


class ConnectionError(GearmanError):
    """One connection could not be opened, or broke."""


class ServerUnavailable(GearmanError):
    """No server of the list can be used."""


class ProtocolError(GearmanError):
    """What came, or what was to be sent, is not Gearman's protocol."""


class UnknownCommandError(GearmanError):
    """A packet came that this side has no use for."""


class ExceededConnectionAttempts(GearmanError):
    """A request was submitted as often as it may be, and each time the connection broke."""


class InvalidClientState(GearmanError):
    """A server told a client what nobody had asked for."""


class InvalidWorkerState(GearmanError):
    """A server told a worker what does not fit what the worker does."""


class InvalidAdminClientState(GearmanError):
    """An administrative command was not answered, or cannot be sent."""


class WrongArgument(GearmanError, AssertionError, TypeError):
    """An argument is not what the call takes."""


class WrongServer(GearmanError, ValueError):
    """A server's name cannot be read, or a client of one server was not given one."""


class UnknownPriority(ProtocolError, KeyError):
    """A priority is none of python-gearman's three."""

    # KeyError shows its argument as a value, not as a sentence.
    __str__ = Exception.__str__
