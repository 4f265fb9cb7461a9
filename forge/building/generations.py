"""``[[generation]]`` of a ``set.toml``: generated faces as stills of a dataset, with real stills beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from forge.building.choices import checked_name
from forge.building.reenactments import CLIPS, PHOTOGRAPHS
from forge.generating.config import LEAST_MARKED_PX, MOST_STILLS, StillConfig, seeds_of
from shared.config import need
from shared.types import SPLITS
from shared.video.still_renditions import StillRendition, known_still


@dataclass(frozen=True)
class GenerationConfig:
    """Faces of a trained generator, and real stills of the set's people that leave by the same chain.

    Attributes:
        run: of ``assay forge train-generator``, or the generator's file; relative to the settings file.
        faces: how many in each split that has people, or by split, ``{ train = 40, test = 10 }``. Their seeds follow
            from the set's; seeds: named by split instead, ``{ train = "0-39", test = "100-109" }``.
        truncation: see ``assay forge generate --help``.
        px: side of the stills before they are encoded; 0 for the generator's own.
        renditions: how every still leaves: ``png``, ``jpg95``, ``jpg90``, ``jpg75``, ``jpg50``, ``reposted``, or a
            table with name, format, quality, chroma, size and through (earlier encodes).
        quality_spread: the last JPEG quality of every still, real or fake, is moved by a random number of up to so many
            levels, because at one quality a softer face takes fewer bytes.
        real: real stills for each generated one, of the people of the split, from frames spaced over their clips.
        softened: share of the real stills that are reduced and enlarged again first, by 1.2 to ``softest`` times.
            Generated faces are soft; without real ones that are as soft a detector learns that.
        autoencoded: also make real stills through the encoder and decoder that the generator was made from, where it
            has them (``generate-prior``), under the name with ``-self``, when the set has controls.
    """

    name: str
    run: str
    faces: int | dict[str, int] = 0
    seeds: dict[str, str] = field(default_factory=dict)
    truncation: float = 0.7
    px: int = 256
    renditions: tuple[str | StillRendition, ...] = ("png", "jpg90", "jpg75")
    quality_spread: int = 8
    real: float = 1.0
    softened: float = 0.5
    softest: float = 4.0
    autoencoded: bool = True

    def __post_init__(self) -> None:
        checked_name(self.name, "generation")
        taken = self.name in ("real", CLIPS, PHOTOGRAPHS) or self.name.endswith("-self")
        need(not taken, f"{self.name!r} is taken", "another name")
        need(bool(self.run.strip()), f"{self.name}: no run is named", "run = 'runs/nobody'")
        need(bool(self.faces) != bool(self.seeds), f"{self.name}: say faces or seeds", "faces = 40")
        counts = self.faces.values() if isinstance(self.faces, dict) else (self.faces,)
        sound = all(0 <= count <= MOST_STILLS for count in counts)
        need(sound, f"{self.name}: faces must be 0 to {MOST_STILLS:,} a split", "40")
        named = [*(self.faces if isinstance(self.faces, dict) else ()), *self.seeds]
        wrong = sorted(set(named) - set(SPLITS))
        need(not wrong, f"{self.name}: no split is called {', '.join(wrong)}", ", ".join(SPLITS))
        listed = [seed for text in self.seeds.values() for seed in seeds_of(text)]
        twice = [seed for seed, count in Counter(listed).items() if count > 1]
        need(not twice, f"{self.name}: seed {next(iter(twice), 0)} is in two splits", "a face is in one split")
        _ = StillConfig(truncation=self.truncation, px=self.px)
        names = [one.name for one in self.ladder]
        need(bool(names) and len(set(names)) == len(names), f"{self.name}: renditions must have names that differ")
        need(0 <= self.quality_spread <= 20, f"{self.name}: quality_spread is {self.quality_spread}", "0 to 20 levels")
        need(0.1 <= self.real <= 10, f"{self.name}: real is {self.real}", "1 makes as many real stills as faces")
        need(0 <= self.softened <= 1, f"{self.name}: softened is {self.softened}", "a share, 0 to 1")
        need(1.2 <= self.softest <= 8, f"{self.name}: softest is {self.softest}", "1.2 to 8 times; 4 is usual")

    @property
    def ladder(self) -> tuple[StillRendition, ...]:
        """The renditions, in order; the first is the parent of the others."""
        return tuple(known_still(one) if isinstance(one, str) else one for one in self.renditions)

    def wanted(self, people: Mapping[str, int]) -> dict[str, int]:
        """How many faces each split gets; ``people`` are their numbers by split.

        Raises:
            ConfigError: a split with faces has no people.
        """
        if self.seeds:
            found = {split: len(seeds_of(text)) for split, text in self.seeds.items()}
        elif isinstance(self.faces, dict):
            found = dict(self.faces)
        else:
            found = {split: self.faces for split in SPLITS if people.get(split)}
        for split, count in found.items():
            named = bool(people.get(split)) or not count
            need(named, f"{self.name}: the {split} split has no people, whose stills are the real ones", "name some")
        return {split: found[split] for split in SPLITS if found.get(split)}

    def check_marked(self, made_px: int) -> None:
        """Refuses stills in which the mark of a set could not be read.

        Raises:
            ConfigError: one is too small.
        """
        base = self.px or made_px
        least = min(step.size or base for one in self.ladder for step in (*one.through, one.last))
        small = min(least, base)
        need(
            small >= LEAST_MARKED_PX, f"{self.name}: a mark cannot be read in stills of {small} px",
            f"{LEAST_MARKED_PX} px or more, or mark = \"none\"",
        )  # fmt: skip
