"""The photographs that come with the demo, with their titles and credits; their sources are in `photos/CREDITS.md`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

PHOTOS_DIR: Final = Path(__file__).resolve().parent.parent / "photos"


@dataclass(frozen=True, slots=True)
class SamplePhoto:
    """One photograph of the demo."""

    #: File in PHOTOS_DIR.
    filename: str
    title: str
    #: Who took it and on what terms.
    credit: str


SAMPLE_PHOTOS: Final = (
    SamplePhoto("rocket-at-dusk.jpg", "Rocket at dusk", "SpaceX, public domain"),
    SamplePhoto("chelsea-the-cat.jpg", "Chelsea the cat", "Stefan van der Walt, CC0"),
    SamplePhoto("dandelions.jpg", "Dandelions", "Clemens Engelhardt, CC0"),
    SamplePhoto("espresso.jpg", "Espresso", "Rachel Michetti, CC0"),
    SamplePhoto("hubble-deep-field.jpg", "Hubble eXtreme Deep Field", "NASA, public domain"),
    SamplePhoto("eileen-collins.jpg", "Eileen Collins, astronaut", "NASA, public domain"),
)
