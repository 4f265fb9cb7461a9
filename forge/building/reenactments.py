"""``[[reenactment]]`` of a ``set.toml``: re-enactments of clips, photographs and generated faces in a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np

from forge.building.choices import SegmentsConfig, checked_name, sample_size
from forge.reenacting.config import FamilyName, ReenactConfig, completed
from forge.reenacting.networks.config import NetworkName
from shared.config import from_mapping, need
from shared.registry import near_matches

CLIPS, PHOTOGRAPHS = "clips", "photographs"
"""What is driven, where it is no ``[[generation]]``."""


@dataclass(frozen=True)
class ReenactmentConfig:
    """A family of re-enactment with settings and pairs of people.

    Attributes:
        family: see ``assay forge reenact --help``.
        swapper: of ``reenact-latent``, the name of a ``[[swapper]]``, of which the last export is used.
        run: of ``assay forge train-reenactor``, or the network's file, for a family with a network; relative to the
            settings file. ``reenact-warp`` has one in the package.
        targets: ``clips`` of people; ``photographs`` of them, also of people in photographs alone; or the faces of the
            ``[[generation]]`` of that name. A still is shown for as long as the clip that drives it, and no frame of it
            is real.
        pairs: ``all``, ``ring`` (each person is driven by the next, generated faces by one after the other),
            ``sample:N`` (N of the pairs that a split, or a model, has) or a list of [driver, target]. Only people of
            one split are paired, for ``reenact-latent`` those of one model.
        clips: maximum number of clips, or photographs, per target; None for all.
        settings: see ``assay forge reenact --help``. The sound is the target's; for ``lipsync``, and of a still, the
            driver's.
        segments: drive only part of the frames.
        self_drives: also drive people by another clip, or another moment, of their own, when the set has controls; for
            ``lipsync`` by the clip's own sound.
    """

    name: str
    family: FamilyName = "reenact-affine"
    swapper: str = ""
    run: str = ""
    targets: str = CLIPS
    pairs: str | tuple[tuple[str, str], ...] = "ring"
    clips: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    segments: SegmentsConfig | None = None
    self_drives: bool = True

    def __post_init__(self) -> None:
        checked_name(self.name, "reenactment")
        need(self.name != "real" and not self.name.endswith("-self"), f"{self.name!r} is taken", "another name")
        latent = self.family == "reenact-latent"
        need(latent == bool(self.swapper), f"{self.name}: reenact-latent, and nothing else, names a swapper", "swapper")
        need(
            self.has_network or not self.run,
            f"{self.name}: a run is named by families with a network, and by no other",
            "leave run out",
        )
        known = not isinstance(self.pairs, str) or self.pairs in ("all", "ring") or sample_size(self.pairs) is not None
        need(known, f"{self.name}: pairs is {self.pairs!r}", "all, ring, sample:N or a list of [driver, target]")
        for taken in ("family", "sound", "segments"):
            need(taken not in self.settings, f"{self.name}: {taken} is no setting of a set", f"leave {taken} out")
        _ = self.config({})
        if self.targets != CLIPS:
            self._check_stills()

    @property
    def has_network(self) -> bool:
        """Whether the family has a network of re-enactment."""
        return self.family in get_args(NetworkName)

    def _check_stills(self) -> None:
        timed = [name for name in ("offset_seconds", "target_neutral") if name in self.settings]
        timed += ["segments"] if self.segments else []
        need(not timed, f"{self.name}: a still has no time and no frames of its own", f"leave out {', '.join(timed)}")
        nobody = self.generation is not None
        need(not nobody or isinstance(self.pairs, str), f"{self.name}: generated faces are not paired by name", "ring")
        need(not nobody or not self.swapper, f"{self.name}: no swapper knows a generated face", "another family")

    @property
    def generation(self) -> str | None:
        """Name of the ``[[generation]]`` whose faces are driven; None for people of the set."""
        return None if self.targets in (CLIPS, PHOTOGRAPHS) else self.targets

    def config(self, below: Mapping[str, Any]) -> ReenactConfig:
        """The settings over those of the set, ``below``.

        Raises:
            ConfigError: one is unknown or out of range.
        """
        chosen = completed({**below, **self.settings, "family": self.family})
        return from_mapping(ReenactConfig, chosen, where=f"reenactment {self.name}")


def check_targets(reenactments: Sequence[ReenactmentConfig], generations: Sequence[str]) -> None:
    """Refuses targets that are none of the ``generations`` of a set, nor its clips or photographs.

    Raises:
        ConfigError: there are some.
    """
    for one in reenactments:
        known = one.generation is None or one.generation in generations
        hint = near_matches(one.targets, [CLIPS, PHOTOGRAPHS, *generations])
        need(known, f"{one.name}: no [[generation]] is called {one.targets!r}", hint)


def of_still(config: ReenactConfig, *, heard: bool) -> ReenactConfig:
    """The settings for a still, which has the sound of its driver's clip, if that is ``heard``."""
    return replace(config, sound="driver" if heard else "none") if config.family != "lipsync" else config


def driver_of(shots: Sequence[str], number: int, target: str, family: FamilyName, *, own: bool) -> str:
    """Which of the driver's ``shots`` drives the target's shot ``number``, called ``target``; another than itself.

    A clip's own sound drives its mouth as well as another does: the frames that it makes are not the clip's.
    """
    if own and family == "lipsync":
        return target
    chosen = shots[number % len(shots)]
    return shots[(number + 1) % len(shots)] if own and chosen == target else chosen


def other_moment(config: ReenactConfig, seconds: float) -> ReenactConfig:
    """The settings for a clip of that length that drives itself: half of it later, or a frame would drive itself."""
    return replace(config, offset_seconds=float(np.round(seconds / 2, 3)))
