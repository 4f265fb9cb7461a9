"""Settings of generators: their training, and the making of stills. Imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from shared.config import need
from shared.errors import UsageError

FamilyName = Literal["generate-prior", "generate-gan", "generate-flow"]
"""Families of generators."""

LEAST_MARKED_PX = 128
"""Smallest side of a picture in which a mark can be read."""

StillFormat = Literal["png", "jpg"]

WHILE_RUNNING = ("steps", "minutes", "device", "save_every", "log_every")
"""Settings that may differ when a training goes on."""

MOST_STILLS = 100_000
"""Largest number of stills of one call."""

_SEEDS = re.compile(r"\d{1,10}(-\d{1,10})?(,\d{1,10}(-\d{1,10})?)*")


@dataclass(frozen=True)
class GeneratorConfig:
    """Settings of the training of a generator.

    Attributes:
        family: see :data:`FamilyName`; options: of the family.
        steps: how long; None for the family's own; of ``generate-prior`` a pass over all faces and their mirror images.
        minutes: stop after this much training time; None for no limit.
        batch: faces in a step.
        learning_rate: falls by a cosine to a tenth; that of both networks of a GAN.
        ema: decay of the averaged weights that are written.
        rebuild: weight of the discriminator's reconstructions of real faces.
        start_from: run or swapper whose encoder and decoder ``generate-prior`` takes; base is the one in the package.
        people: whether a faceset holds one person, or each of its files another one.
        save_every, log_every: steps between checkpoints, and between lines of metrics.
    """

    family: FamilyName = "generate-prior"
    options: dict[str, str | int | float | bool] = field(default_factory=dict)
    steps: int | None = None
    minutes: float | None = None
    batch: int = 16
    learning_rate: float = 2e-4
    ema: float = 0.999
    rebuild: float = 1.0
    start_from: str = "base"
    people: Literal["faceset", "file"] = "file"
    save_every: int = 500
    log_every: int = 20
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        need(self.steps is None or self.steps >= 1, f"steps must be at least 1, got {self.steps}", "leave it out")
        need(self.minutes is None or self.minutes > 0, f"minutes must be positive, got {self.minutes}", "leave it out")
        need(2 <= self.batch <= 1024, f"batch must be 2 to 1024, got {self.batch}", "16 is usual")
        need(0 < self.learning_rate <= 0.1, f"learning_rate {self.learning_rate} is outside 0 to 0.1", "2e-4 is usual")
        need(0 <= self.ema < 1, f"ema {self.ema} is outside 0 to 1", "0.999 is usual")
        need(0 <= self.rebuild <= 100, f"rebuild {self.rebuild} is outside 0 to 100", "1 is usual")
        need(
            self.save_every >= 1 and self.log_every >= 1, "save_every and log_every are at least 1", "see the defaults"
        )


@dataclass(frozen=True)
class StillConfig:
    """Settings of the stills of one call.

    Attributes:
        truncation: multiplies every latent: nearer to the mean face with less, 1 for none.
        px: side of the stills; 0 for the generator's own. Larger ones are enlarged bicubically, and carry the mark
            more readably.
        format: of the files; quality: of JPEG.
        not_new: what is done with a face that its certificate does not call new.
    """

    truncation: float = 0.7
    px: int = 256
    format: StillFormat = "png"
    quality: int = 95
    not_new: Literal["refuse", "write"] = "refuse"
    device: str = "cpu"

    def __post_init__(self) -> None:
        need(0 < self.truncation <= 2, f"truncation {self.truncation} is outside 0 to 2", "0.7 is usual")
        need(self.px == 0 or 16 <= self.px <= 2048, f"px must be 16 to 2048, got {self.px}", "256 is usual")
        need(1 <= self.quality <= 100, f"quality must be 1 to 100, got {self.quality}", "95 is usual")


def seeds_of(text: str) -> list[int]:
    """The seeds of ``text``: numbers and ranges, with commas between: ``0-63`` or ``3,8,10-12``.

    Raises:
        UsageError: it reads otherwise, or names none or too many.
    """
    if not _SEEDS.fullmatch(text):
        raise UsageError(f"{text!r} names no seeds", hint="numbers and ranges: 0-63 or 3,8,10-12")
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        start, stop = int(first), int(last or first) + 1
        if stop <= start or len(seeds) + stop - start > MOST_STILLS:
            raise UsageError(f"{part!r} is an empty range, or names more than {MOST_STILLS:,} faces", hint="0-63")
        seeds += range(start, stop)
    return list(dict.fromkeys(seeds))
