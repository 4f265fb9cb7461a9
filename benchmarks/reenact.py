"""Re-enactment measured before encoding: does the face show what it was driven to, and is the person still the same?

Landmarks are found anew in the driven frames by the finder that also gave the drive, and compared with where they were
to be. The same comparison in the target's own frames, between its smoothed landmarks and ones found anew, is the
finder's re-detection noise; beside it stands *copy-source*, the target's frames left as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from benchmarks.schema import Measurement
from forge.models.checkpoint import read_card
from forge.reenacting.config import REGIONS, FamilyName, ReenactConfig, Region, regions_by
from forge.reenacting.families import Stage, families
from forge.reenacting.networks.checkpoint import load_reenactor
from forge.reenacting.performance import performance_of
from forge.reenacting.transfer import POINTS
from forge.swapping.flicker import FlickerMeter
from forge.swapping.plan import SwapPlan, found_plan
from shared.actors.actor import cast
from shared.actors.filming import film
from shared.config import read_toml
from shared.errors import AssayError, UsageError
from shared.faces.boxes import box_around
from shared.faces.finders.finder import FaceFinder, make_finder
from shared.faces.identity import IdentityEmbedder, make_embedder
from shared.faces.pose import head_pose
from shared.storage import write_bytes
from shared.types import Face, Frame
from shared.video import probe
from shared.video.excerpt import ClipRange, Excerpt, ExcerptReader
from shared.video.images import encode_png

PORTRAITS = (("d9", "d3"), ("d3", "d9"), ("d18", "d19"), ("d19", "d18"), ("d13", "d9"), ("d0", "d3"))
"""Targets and drivers of the real clips, by file name."""

_JITTER = 0.02
_SHOWN = 8
_CELL_PX = 200


@dataclass(frozen=True, eq=False)
class Clip:
    """A clip with its faces, of which only the first frames count."""

    path: Path
    excerpt: Excerpt
    plan: SwapPlan
    size: tuple[int, int]

    def frames(self) -> Iterator[Frame]:
        """Its frames, in order."""
        with ExcerptReader(self.path, self.excerpt) as reader, closing(iter(reader)) as frames:  # type: ignore[type-var]
            yield from frames


@dataclass
class Scores:
    """What was measured of one case; lists hold a value a frame."""

    error: list[float] = field(default_factory=list)
    copied: list[float] = field(default_factory=list)
    noise: list[float] = field(default_factory=list)
    pose: list[float] = field(default_factory=list)
    pose_noise: list[float] = field(default_factory=list)
    driven: list[np.ndarray] = field(default_factory=list)
    own: list[np.ndarray] = field(default_factory=list)
    outside: int = 0
    flicker: float = float("nan")
    cells: list[np.ndarray] = field(default_factory=list)

    def values(self) -> dict[str, float]:
        """The numbers of the case by name."""
        noise = float(np.mean(self.noise))
        own, driven = np.stack(self.own), np.stack(self.driven)
        mean = own.mean(axis=0)
        same = float(np.linalg.norm(own - mean, axis=1).mean())
        return {
            "landmark error": float(np.mean(self.error)) / noise,
            "landmark error, copy-source": float(np.mean(self.copied)) / noise,
            "pose error": float(np.mean(self.pose)),
            "pose error, finder alone": float(np.mean(self.pose_noise)),
            "identity": float(np.mean(_cosines(driven, mean))) / float(np.mean(_cosines(own, mean))),
            "identity distance": float(np.linalg.norm(driven - mean, axis=1).mean()),
            "identity distance, own frames": same,
            "outside the region": float(self.outside),
            "flicker": self.flicker,
        }


def found(path: Path, finder: FaceFinder, embedder: IdentityEmbedder | None, *, frames: int, first: int = 0) -> Clip:
    """The clip at ``path`` with the faces of ``frames`` frames from ``first`` on."""
    excerpt = Excerpt.of(path, ClipRange(first, first + frames, f"{first}-{first + frames}"))
    with ExcerptReader(path, excerpt) as reader:
        info = reader.info
        config = ReenactConfig().finding
        plan = found_plan(reader, config, finder, declared=frames, what=path.name, embedder=embedder)
    return Clip(path, excerpt, plan, (info.width, info.height))


def measure_case(
    target: Clip, driver: Clip, config: ReenactConfig, finder: FaceFinder, embedder: IdentityEmbedder,
    *, swapper: Path | None = None, network: Path | None = None, person: str = "",
) -> Scores:  # fmt: skip
    """One target driven by one driver.

    Raises:
        UsageError: their heads are turned too differently.
    """
    (width, height), theirs = target.size, driver.size
    stage = Stage.of(
        config,
        performance_of(target.plan, width=width, height=height),
        performance_of(driver.plan, width=theirs[0], height=theirs[1]),
        target.plan,
        read_target=target.frames,
        read_driver=driver.frames,
        person=person,
        swapper=swapper,
        network=network,
        finder=finder,
        driver_begins=driver.plan.times[0].seconds,
    )
    points = sorted({point for region in config.regions if region != "tilt" for point in POINTS[region]})
    scores, meter, rng = Scores(), FlickerMeter(), np.random.default_rng(0)
    shown = set(np.linspace(0, target.plan.frames - 1, _SHOWN).astype(int).tolist())
    for done in families.create(config.family, stage=stage, frames=target.frames(), depth=0):
        meter.take(done)
        driven = stage.drive.frames.get(done.frame.index)
        if driven is None or driven.weight < 1:
            continue
        still = done.masks.region == 0
        difference = cv2.absdiff(done.image, done.frame.image)
        scores.outside = max(scores.outside, int(difference[still].max(initial=0)))
        after = _found_again(finder, done.image, driven.drive, rng)
        before = _found_again(finder, done.frame.image, driven.source, rng)
        scores.error.append(_distance(after, driven.drive, points))
        scores.copied.append(_distance(before, driven.drive, points))
        scores.noise.append(_distance(before, driven.source, points))
        scores.pose.append(_turned(after, driven.source, width, height, driven.tilt_degrees))
        scores.pose_noise.append(_turned(before, driven.source, width, height, 0.0))
        for image, landmarks, kept in (
            (done.image, after, scores.driven),
            (done.frame.image, before, scores.own),
        ):
            kept.append(embedder.embed(image, [Face(box_around(landmarks), landmarks, 1.0)])[0])
        if done.frame.index in shown:
            scores.cells.append(_cell(done.frame.image, done.image, driven.source))
    result = meter.result()
    scores.flicker = result.ratio if result else float("nan")
    return scores


def _found_again(finder: FaceFinder, image: np.ndarray, landmarks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(68, 2): landmarks found in the face's box, which is moved a little, as detections are."""
    box = box_around(landmarks.astype(np.float32))
    box = box + np.tile(rng.normal(0, _JITTER * (box[2] - box[0]), 2), 2)
    return finder.refine(image, [box.astype(np.float32)])[0].landmarks


def _distance(one: np.ndarray, other: np.ndarray, points: list[int]) -> float:
    return float(np.hypot(*(one[points] - other[points]).T).mean())


def _turned(one: np.ndarray, other: np.ndarray, width: int, height: int, tilt_degrees: float) -> float:
    """Mean difference in yaw, pitch and roll, of which the tilt was wanted, in degrees."""
    a, b = (head_pose(points, width=width, height=height) for points in (one, other))
    roll = a.roll_degrees - b.roll_degrees - tilt_degrees
    return (abs(a.yaw_degrees - b.yaw_degrees) + abs(a.pitch_degrees - b.pitch_degrees) + abs(roll)) / 3


def _cosines(vectors: np.ndarray, mean: np.ndarray) -> np.ndarray:
    return vectors @ mean / np.linalg.norm(vectors, axis=1) / np.linalg.norm(mean)


def _cell(before: np.ndarray, after: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """A face before and after, below each other."""
    centre, reach = landmarks.mean(axis=0), 0.8 * np.ptp(landmarks, axis=0).max()
    scale = _CELL_PX / (2 * reach)
    matrix = np.array([[scale, 0, _CELL_PX / 2 - scale * centre[0]], [0, scale, _CELL_PX / 2 - scale * centre[1]]])
    size = (_CELL_PX, _CELL_PX)
    return np.vstack([cv2.warpAffine(one, matrix, size, flags=cv2.INTER_AREA) for one in (before, after)])


def actor_clips(folder: Path, *, count: int, frames: int, px: int = 320) -> list[Path]:
    """Clips of procedural actors, with a frame a 25th of a second."""
    return [
        film(actor, folder / f"{actor.name}.mp4", seconds=frames / 25, px=px, seed=1 + place, audio=False)
        for place, actor in enumerate(cast(count, 3))
    ]


def person_in(path: Path) -> str:
    """Who is in a clip, as facesets of it are called."""
    return path.stem.removeprefix("lp_")


@dataclass(frozen=True)
class Trained:
    """A network that drives faces, or a swapper for ``reenact-latent``.

    Attributes:
        people: whom it was trained on; holdout: the last fraction of their clips that it has not seen.
    """

    path: Path
    family: FamilyName
    people: tuple[str, ...]
    holdout: float
    steps: int

    @classmethod
    def read(cls, path: Path, family: FamilyName) -> Trained:
        """What the run or the file ``path`` says of itself.

        Raises:
            AssayError: it cannot be read, or is of another family.
        """
        if family == "reenact-latent":
            swapper = read_card(path)
            held = float(read_toml(path / "config.toml").get("holdout", 0.0))
            return cls(path, family, swapper.identities, held, int(swapper.training.get("steps", 0)))
        card = load_reenactor(path).card
        if card.family != family:
            raise UsageError(f"{path} is of {card.family}, not of {family}", hint=f"--family {card.family}")
        return cls(path, family, card.identities, float(card.settings.get("holdout", 0.0)), card.steps)

    def drives(self, target: str, driver: str) -> bool:
        """Whether it can drive ``target`` by ``driver`` and was made for that."""
        needed = {"reenact-warp": set(), "reenact-latent": {target, driver}}.get(self.family, {target})
        return needed <= set(self.people)


@dataclass
class Measuring:
    """Measures pairs of clips, whose faces are found once.

    Attributes:
        frames: of each clip, at most.
        sheets: where contact sheets are written; None for nowhere.
        trained: what drives beside ``reenact-affine``. Of clips of portraits that it was trained on, the part that
            was held out is driven.
    """

    frames: int
    sheets: Path | None = None
    finder: FaceFinder = field(default_factory=lambda: make_finder("dlib", min_face_px=40))
    trained: Trained | None = None
    clips: dict[tuple[Path, int], Clip] = field(default_factory=dict)

    def pairs(
        self, pairs: list[tuple[Path, Path]], regions: tuple[Region, ...], family: FamilyName = "reenact-affine"
    ) -> tuple[dict[str, list[float]], list[str]]:
        """The values of every pair by name, and a line for each pair that could not be driven."""
        embedder = make_embedder("dlib")
        assert embedder is not None
        values: dict[str, list[float]] = {}
        left_out: list[str] = []
        config = ReenactConfig(family=family, regions=regions)
        path = self.trained.path if self.trained is not None and self.trained.family == family else None
        network, swapper = (None, path) if family == "reenact-latent" else (path, None)
        # Of a driver every other family sees landmarks alone.
        sees_driver = self.trained is not None and self.trained.family == "reenact-latent"
        for target, driver in pairs:
            mine = self._clip(target, self._first(target), embedder)
            theirs = self._clip(driver, self._first(driver) if sees_driver else 0, embedder)
            try:
                scores = measure_case(
                    mine, theirs, config, self.finder, embedder,
                    swapper=swapper, network=network, person=person_in(target),
                )  # fmt: skip
            except AssayError as error:
                left_out.append(f"{target.stem} by {driver.stem}: {error}")
                continue
            for name, value in scores.values().items():
                values.setdefault(name, []).append(value)
            if self.sheets is not None and scores.cells:
                self.sheets.mkdir(parents=True, exist_ok=True)
                name = f"{target.stem}-by-{driver.stem}-{'all' if len(regions) > 1 else ''.join(regions)}"
                write_bytes(self.sheets / f"{name}-{family}.png", encode_png(np.hstack(scores.cells)))
        return values, left_out

    def _first(self, clip: Path) -> int:
        """The first frame of ``clip`` that was not trained on."""
        trained, portrait = self.trained, clip.stem.startswith("lp_")
        if trained is None or not portrait or person_in(clip) not in trained.people:
            return 0
        frames = probe(clip).frames_declared or 0
        return frames - math.floor(frames * trained.holdout)

    def _clip(self, path: Path, first: int, embedder: IdentityEmbedder) -> Clip:
        if (path, first) not in self.clips:
            self.clips[path, first] = found(path, self.finder, embedder, frames=self.frames, first=first)
        return self.clips[path, first]


UNITS = {
    "landmark error": ("of the finder's noise", "lower", 1.5),
    "landmark error, copy-source": ("of the finder's noise", "lower", None),
    "pose error": ("degrees", "lower", 1.1),
    "pose error, finder alone": ("degrees", "lower", None),
    "identity": ("of the target's own frames", "higher", 0.95),
    "identity distance": ("Euclidean", "lower", None),
    "identity distance, own frames": ("Euclidean", "lower", None),
    "outside the region": ("grey levels", "lower", 0.0),
    "flicker": ("of the target's own", "lower", 1.25),
}
"""Unit, direction and aim of each value."""


def measurements(what: str, values: dict[str, list[float]]) -> list[Measurement]:
    """``values`` of one group of pairs."""
    return [
        Measurement.of(f"{what}: {name}", UNITS[name][0], found, better=UNITS[name][1], target=UNITS[name][2])
        for name, found in values.items()
    ]


def groups_of(families: Sequence[FamilyName]) -> dict[str, tuple[Region, ...]]:
    """The regions that are driven, by name: what all of ``families`` can."""
    everything: tuple[Region, ...] = tuple(one for one in REGIONS if all(one in regions_by(each) for each in families))
    return {"mouth": ("mouth",), "all regions" if everything == REGIONS else "mouth, brows and eyes": everything}


def portrait_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """The pairs of real clips of :data:`PORTRAITS` that are in ``folder``."""
    paths = [(folder / f"lp_{target}.mp4", folder / f"lp_{driver}.mp4") for target, driver in PORTRAITS]
    return [pair for pair in paths if all(path.is_file() for path in pair)]
