"""``[[reenactment]]`` of a ``set.toml``: re-enactments as manipulations of a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np

from forge.building.choices import SegmentsConfig, checked_name, sample_size
from forge.reenacting.config import FamilyName, ReenactConfig, completed
from forge.reenacting.networks.config import NetworkName
from shared.config import from_mapping, need


@dataclass(frozen=True)
class ReenactmentConfig:
    """A family of re-enactment with settings and pairs of people.

    Attributes:
        family: see ``assay forge reenact --help``.
        swapper: of ``reenact-latent``, the name of a ``[[swapper]]``, of which the last export is used.
        run: of ``assay forge train-reenactor``, or the network's file, for a family with a network; relative to the
            settings file.
        pairs: ``all``, ``ring`` (each person is driven by the next), ``sample:N`` or a list of [driver, target]. Only
            people of one split are paired, for ``reenact-latent`` those of one model.
        clips: maximum number of clips per target; None for all.
        settings: see ``assay forge reenact --help``. The sound is the target's, for ``lipsync`` the driver's.
        segments: drive only part of the frames.
        self_drives: also drive people by another clip, or another moment, of their own, when the set has controls; for
            ``lipsync`` by the clip's own sound.
    """

    name: str
    family: FamilyName = "reenact-affine"
    swapper: str = ""
    run: str = ""
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
        trained = self.family in get_args(NetworkName)
        need(
            trained == bool(self.run),
            f"{self.name}: a run is named by families with a network, and by no other",
            "run = 'runs/driven'",
        )
        known = not isinstance(self.pairs, str) or self.pairs in ("all", "ring") or sample_size(self.pairs) is not None
        need(known, f"{self.name}: pairs is {self.pairs!r}", "all, ring, sample:N or a list of [driver, target]")
        for taken in ("family", "sound", "segments"):
            need(taken not in self.settings, f"{self.name}: {taken} is no setting of a set", f"leave {taken} out")
        _ = self.config({})

    def config(self, below: Mapping[str, Any]) -> ReenactConfig:
        """The settings over those of the set, ``below``.

        Raises:
            ConfigError: one is unknown or out of range.
        """
        chosen = completed({**below, **self.settings, "family": self.family})
        return from_mapping(ReenactConfig, chosen, where=f"reenactment {self.name}")


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
