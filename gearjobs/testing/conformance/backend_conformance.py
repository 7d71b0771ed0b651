"""The conformance suite of django.tasks backends: what Django's own code and its users rely on, as tests.

For any backend, not only for that of gearjobs: a test case, to be mixed with Django's TransactionTestCase and told how
the backend is set up and how one pending job is run. It needs neither pytest nor gearjobs in INSTALLED_APPS. Where
Django's documentation is silent, its own backends and workers were read. How to use it: docs/testing.md.
"""

from __future__ import annotations

from gearjobs.testing.conformance.declaring_rules import DeclaringRules
from gearjobs.testing.conformance.enqueuing_rules import EnqueuingRules
from gearjobs.testing.conformance.result_rules import ResultRules
from gearjobs.testing.conformance.running_rules import RunningRules


class BackendConformance(DeclaringRules, EnqueuingRules, RunningRules, ResultRules):
    """All rules for a backend; see `conformance_stage.ConformanceStage` for what a subclass says."""
