"""The OpenAPI document of the REST API, as docs/openapi.yaml keeps it; needs the extra `openapi`.

Paths are relative to where a project includes `gearjobs.urls`. A project that documents its own API with
drf-spectacular has these endpoints in its own document, without this module.
"""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.settings import spectacular_settings

from gearjobs.models import (
    ActionOutcome,
    AttemptOutcome,
    BulkState,
    BulkVerb,
    GroupKind,
    JobStatus,
    RunOutcome,
    ScheduleSource,
    StatusDetail,
)
from gearjobs.models.schedule import CatchUpChoice, OverlapChoice
from gearjobs.version import __version__

#: Where the document is kept.
PATH: Final = "docs/openapi.yaml"

_SETTINGS: Final[dict[str, Any]] = {
    "TITLE": "gearjobs",
    "DESCRIPTION": "Background jobs of a Django site: their state, progress and results, and what operators do.",
    "VERSION": __version__,
    "SCHEMA_PATH_PREFIX": "/",
    "ENUM_NAME_OVERRIDES": {
        "TaskStatus": JobStatus.choices,
        "StatusDetail": StatusDetail.choices,
        "AttemptOutcome": AttemptOutcome.choices,
        "GroupKind": GroupKind.choices,
        "RunOutcome": RunOutcome.choices,
        "ScheduleSource": ScheduleSource.choices,
        "Overlap": OverlapChoice.choices,
        "CatchUp": CatchUpChoice.choices,
        "BodyEncoding": ["json", "utf-8", "base64"],
        "BulkVerb": BulkVerb.choices,
        "BulkState": BulkState.choices,
        "ActionOutcome": ActionOutcome.choices,
    },
}


def open_api_document() -> str:
    """Return the document as YAML."""
    known = {name: getattr(spectacular_settings, name) for name in _SETTINGS}
    spectacular_settings.apply_patches(_SETTINGS)  # type: ignore[no-untyped-call]  # of theirs
    try:
        document = SchemaGenerator(urlconf="gearjobs.urls").get_schema(request=None, public=True)  # type: ignore[no-untyped-call]  # likewise
        body: bytes = OpenApiYamlRenderer().render(document, renderer_context={})  # type: ignore[no-untyped-call]  # likewise
        return body.decode()
    finally:
        spectacular_settings.apply_patches(known)  # type: ignore[no-untyped-call]  # likewise
