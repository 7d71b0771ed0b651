"""The version of gearjobs.

The one place that says it: the wheel is built with it, the server tells it to peers, the logs show it.
"""

from typing import Final

__version__: Final = "0.1.0"
