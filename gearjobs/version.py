"""The version of gearjobs: the one place that says it; the wheel, the wire and the logs read it here."""

from typing import Final

__version__: Final = "0.1.0"
