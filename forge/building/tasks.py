"""Arguments of the tasks of a build: plain values and paths, so that they can run in another process."""

from __future__ import annotations

from dataclasses import dataclass

from forge.building.choices import SegmentsConfig
from forge.reenacting.config import ReenactConfig
from forge.swapping.config import SwapConfig
from forge.training.config import TrainConfig
from shared.faces.facesets.extract_config import ExtractConfig
from shared.types import ClipId
from shared.video.renditions import Rendition
from shared.video.still_renditions import StillRendition


@dataclass(frozen=True)
class ShotTask:
    """Cut a clip, store it losslessly, find its faces. ``frames`` is None for all; without ``audio`` it is silent."""

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
    audio: bool = True


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
    """Render a fake losslessly. ``seed`` is for segments and, with ``one_of_many``, the face."""

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
class DriveTask:
    """Render a re-enactment losslessly. ``driver_shot`` is that of the performance; ``seed`` is for segments.

    ``source`` is the driver and ``target`` the person who is driven. ``network`` is the file of a trained network with
    that SHA-256, ``network_sha256``. ``held``: the shot is a still, to be shown at the frame times of the driver's.
    """

    out: str
    shot: str
    driver_shot: str
    swapper: str | None
    source: str
    target: str
    config: ReenactConfig
    segments: SegmentsConfig | None
    seed: int
    network: str | None = None
    network_sha256: str | None = None
    held: bool = False


@dataclass(frozen=True)
class DriverFacts:
    """The driver of a re-enactment, for its record: its file and its SHA-256, the settings, a network's SHA-256."""

    file: str
    sha256: str
    config: ReenactConfig
    network_sha256: str | None = None


@dataclass(frozen=True)
class ClipTask:
    """One clip to be listed.

    Attributes:
        recipe: key of all inputs; a clip listed under the same recipe is not made again.
        rendition: None for the unchanged source file (a set without controls).
        parent: the clip it belongs to, see :mod:`forge.building.plan`.
        mask_stem: path of its masks in the dataset, without the mask's name; the same for clips of one size.
        factors: known before the steps run.
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
        dataset: the dataset's folder; work: folder of finished, unlisted records.
        master: folder of the fake; None for the real clip.
        source_file: the file the shot was cut from, the ingredient in signatures.
        people: the person of the clip, then others by the area of their faces.
        driver: of a re-enactment, whose settings it holds in place of ``config``.
        mark: write the mark of the set, as into every clip of it.
        drop_master: remove the master's frames when done.
        held: of a fake made of a still, what the still is (:data:`shared.dataset.held.TARGET_STILL`); empty otherwise.
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
    mark: bool = False
    driver: DriverFacts | None = None
    held: str = ""


@dataclass(frozen=True)
class GenerateTask:
    """Make the faces of ``seeds`` with the generator of ``run``, losslessly, each with its certificate."""

    out: str
    run: str
    seeds: tuple[int, ...]
    truncation: float
    device: str


@dataclass(frozen=True)
class FaceTask:
    """Make a shot of one frame of a generated face, the picture ``source`` of a :class:`GenerateTask`.

    Attributes:
        px: its side as a still, see :class:`forge.building.generations.GenerationConfig`.
        finder, min_face_px, device: as in :class:`ShotTask`.
    """

    out: str
    source: str
    px: int
    finder: str
    min_face_px: float
    device: str


@dataclass(frozen=True)
class PortraitsTask:
    """Cut ``count`` faces of the person of a shot as the generator of ``run`` makes them, losslessly.

    Attributes:
        softened: share of them that is reduced, by up to ``softest`` times, and enlarged again; drawn with ``seed``.
        swapper: encodes and decodes each once more; None leaves that out.
    """

    out: str
    run: str
    shot: str
    count: int
    softened: float
    softest: float
    swapper: str | None
    seed: int


@dataclass(frozen=True)
class StillTask:
    """One still to be listed.

    Attributes:
        recipe: see :class:`ClipTask`.
        made: its name in the folder of a :class:`GenerateTask` or a :class:`PortraitsTask`.
        person: target identity; source: of a real person's still through a model, the same person.
        seed: of a generated face.
    """

    id: ClipId
    recipe: str
    rendition: StillRendition
    made: str
    person: str
    source: str | None = None
    seed: int | None = None
    parent: ClipId | None = None


@dataclass(frozen=True)
class StillsTask:
    """Encode, label and sign stills that one task made; nothing is listed yet.

    Attributes:
        dataset, dataset_name, work, mark: see :class:`EncodeTask`.
        made: folder of the lossless pictures.
        px, truncation: see :class:`forge.building.generations.GenerationConfig`.
        rights: of the filmed person; empty for faces of nobody, which have those of the generator's photographs.
        source_file: the file that real faces were cut from; empty without.
    """

    dataset: str
    dataset_name: str
    work: str
    made: str
    px: int
    truncation: float
    rights: str
    source_file: str
    clips: tuple[StillTask, ...]
    mark: bool = False
