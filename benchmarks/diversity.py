"""How the error on fakes of unlearned kinds falls with the number of kinds, and of people, that were learned from.

A kind is a way of pasting with a kind of copy: the face's own, a twin by a decoder, or another person's face. Pairs of
a face and its fake are made as a training makes them, and a logistic regression on statistics of regions
(:mod:`detect.models.regions`) learns them: one convex problem, so a point costs seconds, and seeds differ by what was
learned and not by an optimiser. Every training has the same number of pairs. Each seed leaves out two
pastes, and people of other facesets are scored.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.outside.faces import find_faces
from benchmarks.outside.index import read_index
from benchmarks.outside.scores import in_all_forms
from benchmarks.power_law import CONFIDENCE, PowerLaw, fit_power_law
from benchmarks.schema import Measurement
from detect.config.data import AugmentConfig, SelfBlendConfig
from detect.data.batches import Mixture, batches
from detect.data.pairs import BlendedPairs
from detect.data.real_faces import FaceStack, RealFaces, read_stack
from detect.metrics.classification import auc
from detect.models.regions import REGION_PX, regions_of, statistics
from shared.config import need
from shared.console import console
from shared.errors import UsageError
from shared.faces.align import cut, frame_to_crop
from shared.faces.finders.finder import make_finder
from shared.plots import FAINT, FAKE_COLOR, INK, figure, png

Copy = Literal["own", "twin", "other person"]
COPIES: tuple[Copy, ...] = ("own", "twin", "other person")
Axis = Literal["kinds", "people"]
AXES: tuple[Axis, ...] = get_args(Axis)

LEFT_OUT = "kinds left out"
OUTSIDE = "fakes of other tools"
_BATCH = 32
_PENALTY = 0.1
_FRAMES = 8


@dataclass(frozen=True)
class DiversityPlan:
    """Settings of the benchmark.

    Attributes:
        pastes: presets; two of them are left out by each seed.
        kinds, people: numbers that are learned from, with all people and all kinds.
        pairs: of each training; ``test_pairs``: of each kind that is left out.
        seeds: of the choices, the pairs and the order.
    """

    pastes: tuple[str, ...] = ("box", "box-soft", "hull-mean", "dfl-overlay", "poisson", "ellipse", "segment-square")
    kinds: tuple[int, ...] = (1, 2, 3, 5, 8, 11, 15)
    people: tuple[int, ...] = (4, 8, 16, 32, 64, 128, 256)
    pairs: int = 640
    test_pairs: int = 64
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        need(len(self.pastes) >= 4, "at least 4 pastes: two are left out")
        need(min(self.kinds + self.people) >= 1, "numbers of kinds and people are at least 1")
        most = (len(self.pastes) - 2) * len(COPIES)
        need(max(self.kinds) <= most, f"at most {most} kinds can be learned from, got {max(self.kinds)}")
        need(min(self.pairs, self.test_pairs) >= _BATCH // 2, f"at least {_BATCH // 2} pairs")


@dataclass(frozen=True)
class Kind:
    """A kind of fake."""

    paste: str
    copy: Copy

    def pairs(self, faces: RealFaces) -> BlendedPairs:
        """Pairs of this kind from ``faces``."""
        config = SelfBlendConfig(pastes=(self.paste,))
        return BlendedPairs(faces, config, twins=float(self.copy == "twin"), others=float(self.copy == "other person"))


class _Numbered(NamedTuple):
    """What one training learns from."""

    axis: Axis
    number: int


@dataclass(frozen=True)
class Point:
    """The errors, 1 - AUC, of one training; that on other tools' fakes is None where there are none."""

    axis: Axis
    number: int
    seed: int
    left_out: float
    outside: float | None


@dataclass(frozen=True, eq=False)
class OutsideFaces:
    """Statistics of the faces of other tools' fakes and their reals: (N, K) by face, with the file of each.

    ``labels`` (F,) bool are of the files, True for fake.
    """

    values: np.ndarray
    files: np.ndarray
    labels: np.ndarray


def read_outside(folder: Path, work: Path, finder: str) -> OutsideFaces:
    """The faces of ``folder`` (see ``benchmarks.outside``) at one size and format.

    Raises:
        ManifestError: the folder is damaged.
        MediaError: a file cannot be read.
    """
    listed = read_index(folder)
    faces = in_all_forms(find_faces(listed, make_finder(finder), work, frames=_FRAMES))
    crops, files = [], []
    for number, forms in enumerate(faces.forms):
        for face in forms["matched"]:
            crops.append(cut(face.image, frame_to_crop(face.landmarks, px=REGION_PX, framing="whole"), REGION_PX))
            files.append(number)
    if not crops:
        raise UsageError(f"no face was found in {folder}", hint="another --finder")
    labels = np.array([file.label == "fake" for file in listed])
    return OutsideFaces(_statistics(np.stack(crops)), np.array(files), labels)


def read_faces(faces: Sequence[Path], twins: Sequence[Path]) -> list[FaceStack]:
    """The faces of facesets with their twins.

    Raises:
        FacesetError: a faceset is damaged, or a face has no twin.
    """
    return [read_stack(path, twins, px=REGION_PX, framing="whole") for path in faces]


def measure(
    train: Sequence[FaceStack], test: Sequence[FaceStack], plan: DiversityPlan, outside: OutsideFaces | None = None
) -> list[Point]:
    """One training for every number of both axes and every seed.

    Raises:
        UsageError: there are fewer people than a point needs.
    """
    people = sum(np.unique(stack.groups).size for stack in train)
    if people < max(plan.people):
        raise UsageError(f"{people} people to learn from, and {max(plan.people)} are asked for", hint="fewer --people")
    todo = [_Numbered("kinds", number) for number in plan.kinds]
    todo += [_Numbered("people", number) for number in plan.people]
    points: list[Point] = []
    with console.progress("trainings", len(todo) * len(plan.seeds), unit="training") as tick:
        for seed in plan.seeds:
            rng = np.random.default_rng((seed, 0))
            left = sorted(rng.choice(plan.pastes, 2, replace=False).tolist())
            known = [Kind(*each) for each in product(sorted(set(plan.pastes) - set(left)), COPIES)]
            unknown = [Kind(*each) for each in product(left, COPIES)]
            faces = RealFaces(test)
            probes = [_sampled([kind], faces, plan.test_pairs, (seed, 1, place)) for place, kind in enumerate(unknown)]
            for place, (axis, number) in enumerate(todo):
                own = np.random.default_rng((seed, 2, place))
                kinds = [known[at] for at in own.permutation(len(known))[: number if axis == "kinds" else None]]
                chosen = some_people(train, number, own) if axis == "people" else train
                model = _fitted(*_sampled(kinds, RealFaces(chosen), plan.pairs, (seed, 3, place)))
                points.append(Point(axis, number, seed, _left_out_error(model, probes), _outside_error(model, outside)))
                tick()
    return points


def some_people(stacks: Sequence[FaceStack], number: int, rng: np.random.Generator) -> list[FaceStack]:
    """The faces of ``number`` people (photographs, or clips) drawn from all ``stacks``."""
    everyone = [(place, group) for place, stack in enumerate(stacks) for group in np.unique(stack.groups).tolist()]
    chosen = {everyone[at] for at in rng.permutation(len(everyone))[:number]}
    found = []
    for place, stack in enumerate(stacks):
        kept = np.flatnonzero([(place, group) in chosen for group in stack.groups.tolist()])
        twins = tuple(stack.twins[at] for at in kept) if stack.twins else ()
        found.append(
            replace(
                stack, crops=stack.crops[kept], landmarks=stack.landmarks[kept], groups=stack.groups[kept], twins=twins
            )
        )
    return found


def laws_of(points: Sequence[Point]) -> dict[tuple[Axis, str], PowerLaw]:
    """The power law of each axis on each test."""
    found = {}
    for axis in AXES:
        mine = [point for point in points if point.axis == axis]
        numbers = [point.number for point in mine]
        found[axis, LEFT_OUT] = fit_power_law(numbers, [point.left_out for point in mine])
        outside = [point.outside for point in mine if point.outside is not None]
        if len(outside) == len(mine):
            found[axis, OUTSIDE] = fit_power_law(numbers, outside)
    return found


def as_measurements(points: Sequence[Point]) -> list[Measurement]:
    """Errors of each number over seeds, then the laws and their forecasts."""
    found = []
    laws = laws_of(points)
    for axis, test in laws:
        for number in sorted({point.number for point in points if point.axis == axis}):
            own = [point for point in points if (point.axis, point.number) == (axis, number)]
            errors = [point.left_out if test == LEFT_OUT else point.outside for point in own]
            values = [error for error in errors if error is not None]
            name = f"{test}: error after {number} {axis}"
            found.append(Measurement.of(name, "1 - AUC", values, better="lower"))
    for (axis, test), law in laws.items():
        where = f"{test}, by {axis}"
        largest = max(point.number for point in points if point.axis == axis)
        words = f"{CONFIDENCE:.0%}: {law.exponent_low:.3f} to {law.exponent_high:.3f}"
        found.append(Measurement.of(f"{where}: exponent", "of 1", [law.exponent], better="higher", note=words))
        kept = "kept" if law.kept else "not kept"
        note = f"{law.forecast_low:.3f} to {law.forecast_high:.3f} for {largest}; measured {law.measured:.3f}: {kept}"
        found.append(Measurement.of(f"{where}: forecast", "1 - AUC", [law.forecast], better="lower", note=note))
    return found


def picture(points: Sequence[Point]) -> bytes:
    """PNG: errors of all trainings over the number learned from, on logarithmic axes, with each law."""
    laws = laws_of(points)
    tests = sorted({test for _, test in laws})
    with figure(4.6 * len(tests), 6.4) as plot:
        axes = plot.subplots(len(AXES), len(tests), squeeze=False)
        for (axis, test), law in laws.items():
            panel = axes[AXES.index(axis)][tests.index(test)]
            mine = [point for point in points if point.axis == axis]
            numbers = np.array([point.number for point in mine])
            errors = [point.left_out if test == LEFT_OUT else point.outside for point in mine]
            panel.scatter(numbers, errors, s=14, color=INK, alpha=0.7)
            line = np.geomspace(numbers.min(), numbers.max(), 50)
            panel.plot(line, law.at(line), color=FAKE_COLOR, linewidth=1)
            panel.vlines(numbers.max(), law.forecast_low, law.forecast_high, color=FAINT, linewidth=4, zorder=0)
            panel.set(xscale="log", yscale="log", xlabel=f"{axis} learned from", ylabel="1 - AUC")
            ticks = sorted(set(numbers.tolist()))
            panel.set_xticks(ticks, [str(tick) for tick in ticks])
            panel.minorticks_off()
            low, high = panel.get_ylim()
            heights = np.linspace(low, high, 5)
            panel.set_yticks(heights, [f"{height:.2f}" for height in heights])
            panel.minorticks_off()
            title = f"{test}\nexponent {law.exponent:.2f} ({law.exponent_low:.2f} to {law.exponent_high:.2f})"
            panel.set_title(title, fontsize=9)
        return png(plot)


def _sampled(
    kinds: Sequence[Kind], faces: RealFaces, pairs: int, seed: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """(2 P, K) statistics and (2 P,) labels of pairs of equally many of each kind."""
    mixture = Mixture([kind.pairs(faces) for kind in kinds], [1.0] * len(kinds))
    number = int(np.random.default_rng(seed).integers(2**31))
    made = batches(
        mixture, steps=range(-(-2 * pairs // _BATCH)), batch=_BATCH, seed=number, augment_config=AugmentConfig(),
        workers=os.cpu_count() or 1,
    )  # fmt: skip
    values, labels = zip(*((_statistics(each.crops), each.labels) for each in made), strict=True)
    return np.concatenate(values), np.concatenate(labels)


def _statistics(crops: np.ndarray) -> np.ndarray:
    """(N, K) of crops (N, S, S, 3) uint8, a batch at a time."""
    regions = torch.from_numpy(regions_of(REGION_PX, "whole"))
    found = []
    with torch.inference_mode():
        for first in range(0, len(crops), _BATCH):
            x = torch.from_numpy(crops[first : first + _BATCH]).permute(0, 3, 1, 2).float() / 255
            found.append(statistics(x, regions).numpy())
    return np.concatenate(found)


def _fitted(values: np.ndarray, labels: np.ndarray) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=_PENALTY, max_iter=2000)).fit(values, labels)


def _left_out_error(model: Pipeline, probes: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """1 - AUC, the mean over kinds."""
    areas = [auc(labels > 0, model.decision_function(values)) for values, labels in probes]
    return 1 - float(np.mean([area for area in areas if area is not None]))


def _outside_error(model: Pipeline, outside: OutsideFaces | None) -> float | None:
    """1 - AUC over files, each with the mean of its faces."""
    if outside is None:
        return None
    logits = model.decision_function(outside.values)
    files = np.unique(outside.files)
    means = np.array([logits[outside.files == file].mean() for file in files])
    area = auc(outside.labels[files], means)
    return None if area is None else 1 - area
