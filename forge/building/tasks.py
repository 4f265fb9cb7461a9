"""What each task of a build is told: plain values and paths, so that it can be done in another process."""

from __future__ import annotations

from dataclasses import dataclass

from forge.building.spec import SegmentsConfig
from forge.swapping.config import SwapConfig
from forge.training.config import TrainConfig
from shared.faces.facesets.extract_config import ExtractConfig
from shared.types import ClipId
from shared.video.renditions import Rendition


@dataclass(frozen=True)
class ShotTask:
    """Cut a clip, keep it without loss, find its faces. ``frames`` is None for all there are."""

    out: str
    source: str
    source_sha256: str
    start: int
    frames: int | None
    max_side: int | None
    finder: str
    detect_every: int | None
    min_face_px: float
    device: str


@dataclass(frozen=True)
class FacesTask:
    """Make a faceset of a person's shots."""

    out: str
    shots: tuple[str, ...]
    config: ExtractConfig


@dataclass(frozen=True)
class TrainTask:
    """Train a swapper in ``run``; export it after each step of ``ladder`` into ``out``."""

    out: str
    run: str
    facesets: tuple[str, ...]
    config: TrainConfig
    ladder: tuple[int, ...]
    threads: int


@dataclass(frozen=True)
class MasterTask:
    """Draw a fake without loss. ``seed`` draws segments and, with ``one_of_many``, the face."""

    out: str
    shot: str
    swapper: str
    source: str
    target: str
    config: SwapConfig
    segments: SegmentsConfig | None
    one_of_many: bool
    seed: int


@dataclass(frozen=True)
class ClipTask:
    """One clip to be listed.

    Attributes:
        recipe: names all that it is made of; a clip that is listed under the same recipe is not made again.
        rendition: None for the untouched source file (a set without controls).
        parent: the clip it belongs to, see :mod:`forge.building.plan`.
        mask_stem: path of its masks inside the dataset, without the mask's name; the same for clips of one size.
        factors: how it was made, beside what the steps find out.
    """

    id: ClipId
    recipe: str
    rendition: Rendition | None
    parent: ClipId | None
    mask_stem: str
    factors: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class EncodeTask:
    """Encode, label and sign clips of one shot, or of one master of it; nothing is listed yet.

    Attributes:
        dataset: the dataset's folder; work: where records wait to be listed.
        master: folder of the fake; None for the real clip.
        source_file: the file the shot was cut from, the ingredient that signatures name.
        people: whose clip it is, then others by the area of their faces.
        drop_master: remove the master's pictures when done.
    """

    dataset: str
    dataset_name: str
    work: str
    shot: str
    master: str | None
    source_file: str
    people: tuple[str, ...]
    rights: str
    clips: tuple[ClipTask, ...]
    swapper: str | None = None
    source: str | None = None
    config: SwapConfig | None = None
    drop_master: bool = False
