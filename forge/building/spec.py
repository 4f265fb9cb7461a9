"""``set.toml``: the settings of a dataset. Frozen and strict; all defaults are defined here."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from forge.building.choices import SegmentsConfig, checked_name, sample_size
from forge.building.generations import GenerationConfig
from forge.building.reenactments import PHOTOGRAPHS, ReenactmentConfig, check_targets
from forge.building.speech import SpeechConfig
from forge.training.config import TrainConfig
from forge.training.recipe import load_recipe
from shared.config import from_mapping, merged, need, read_toml, to_mapping
from shared.errors import ConfigError
from shared.faces.pastes.presets import preset_named
from shared.registry import near_matches
from shared.types import SPLITS, Framing, Split
from shared.video.encoding import Encoding
from shared.video.renditions import Rendition, known_rendition

_MOST_SNAPSHOTS = 200


@dataclass(frozen=True)
class SetConfig:
    """``[set]``.

    Attributes:
        name, license, description: of the dataset; seed: of all random choices, splits included.
        media: base folder of relative clips, itself relative to the settings file; ``$NAME`` is read from the
            environment.
        frames: at most this many of a clip; None for all. pieces: number of clips of that length cut from each file.
        max_side: frames are reduced until their longer side has at most so many pixels; None for never.
        finder, detect_every, min_face_px: how faces are found, once for each clip; see ``assay forge swap --help``.
            ``sidecar`` uses the landmarks beside every clip.
        audio: clips keep the sound of their source; False leaves it out, where no container takes it.
        controls: real clips go through the same encoding as the fakes in every rendition, and self-swaps are made.
            False only serves to show that an audit detects it; the card then says so.
        crf_spread: with controls, the last encode of every clip, real or fake, gets its rendition's crf plus a random
            offset of up to so many levels (on a scale of 51; six double the bits). Without, a softer face gives smaller
            packets at the same crf, and file sizes tell the classes apart. 0 keeps the crf exactly. The crf is in the
            clip's factors; lossless renditions stay lossless.
        keep_masters: keep the lossless frames in the work folder, so that a rendition can be added without rendering
            the fakes again.
        mark: "both" writes one imperceptible mark into real clips and fakes alike (docs/marking.md); never one class.
        device: where networks run. On a CPU equal settings give equal bytes (docs/reproducibility.md).
    """

    name: str
    license: str = ""
    description: str = ""
    seed: int = 0
    media: str = ""
    frames: int | None = None
    pieces: int = 1
    max_side: int | None = None
    finder: str = "auto"
    detect_every: int | None = None
    min_face_px: float = 40.0
    audio: bool = True
    controls: bool = True
    crf_spread: int = 3
    keep_masters: bool = True
    mark: Literal["none", "both"] = "none"
    device: str = "cpu"

    def __post_init__(self) -> None:
        checked_name(self.name, "dataset")
        need(self.frames is None or self.frames >= 1, "frames must be 1 or more", "leave it out for all")
        need(self.pieces >= 1, "pieces must be 1 or more", "1 makes one clip of a file")
        need(self.pieces == 1 or self.frames is not None, "pieces need frames: how long each is", "frames = 75")
        need(self.audio or self.controls, "without controls clips are copied with their sound", "leave audio out")
        need(self.mark == "none" or self.controls, "without controls clips are copied unmarked", 'mark = "none"')
        need(0 <= self.crf_spread <= 12, f"crf_spread is {self.crf_spread}", "0 to 12 levels; 3 is the default")
        need(self.max_side is None or self.max_side >= 32, "max_side must be 32 or more", "640 is usual")


@dataclass(frozen=True)
class FacesConfig:
    """``[faces]``: the facesets that swappers are trained on; see ``assay faces extract --help``."""

    px: int = 256
    framing: Framing = "whole"
    every: int = 1
    min_face_px: float = 48.0
    embed_every: int = 50


@dataclass(frozen=True)
class SplitsConfig:
    """``[splits]``: the people of each split by name; or the size of each, for a random choice of people.

    Swappers are trained within a split, so nobody may be named in two.
    """

    train: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)

    @property
    def named(self) -> dict[Split, tuple[str, ...]]:
        """People by split, if any are named."""
        found: dict[Split, tuple[str, ...]] = {"train": self.train, "val": self.val, "test": self.test}
        return {split: people for split, people in found.items() if people}

    def __post_init__(self) -> None:
        people = [name for split in SPLITS for name in getattr(self, split)]
        twice = sorted({name for name in people if people.count(name) > 1})
        need(not twice, f"[splits] names {', '.join(twice)} more than once", "a person is in one split")


@dataclass(frozen=True)
class ClipConfig:
    """One clip of a person with its own settings: ``{path = "talk.mp4", also = ["bob"]}``.

    Attributes:
        start: index of the first frame taken.
        frames, pieces: as in ``[set]``.
        also: other people visible in it, by the area of their faces; they go to the same split.
    """

    path: str
    start: int = 0
    frames: int | None = None
    pieces: int | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class IdentityConfig:
    """``[[identity]]``: a person, their clips, and the rights to use these.

    A clip may be a photograph, or a folder of photographs, where the set makes stills or drives photographs.
    """

    name: str
    rights: str
    clips: tuple[str | ClipConfig, ...]
    frames: int | None = None
    pieces: int | None = None

    def __post_init__(self) -> None:
        checked_name(self.name, "identity")
        need(bool(self.rights.strip()) and len(self.rights) <= 200, f"{self.name}: say the rights", "consent, ...")
        need(bool(self.clips), f"{self.name} has no clips", 'clips = ["ann.mp4"]')

    @property
    def entries(self) -> tuple[ClipConfig, ...]:
        """The clips, with this person's settings as defaults."""
        whole = [ClipConfig(clip) if isinstance(clip, str) else clip for clip in self.clips]
        return tuple(
            ClipConfig(one.path, one.start, one.frames or self.frames, one.pieces or self.pieces, one.also)
            for one in whole
        )


@dataclass(frozen=True)
class SwapperConfig:
    """``[[swapper]]``: one family of swappers, trained here or taken from a run.

    Attributes:
        run: an existing run or exported swapper; relative to the settings file. Then the fields below are ignored.
        people: ``split`` trains one model for all people of each split; or lists of people, one model per list.
        steps: export after each of these; the last ends the training. Empty takes it from ``settings``.
        recipe: of the training, a name of ``assay forge recipes``; its ``minutes`` are left out.
        settings: of the training, in place of the recipe's, see ``assay forge train --help``; ``minutes`` is refused,
            because a build that is limited by a clock cannot be repeated. A swapper that it starts from is, like
            ``run``, relative to the settings file.
        threads: cores per training; part of the settings, because results depend on the number of threads.
    """

    name: str
    run: str | None = None
    people: str | tuple[tuple[str, ...], ...] = "split"
    steps: tuple[int, ...] = ()
    recipe: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    threads: int = 1

    def __post_init__(self) -> None:
        checked_name(self.name, "swapper")
        need(self.threads >= 1, f"{self.name}: threads must be 1 or more", "1 trains several models side by side")
        need("minutes" not in self.settings, f"{self.name}: minutes cannot be repeated", "give steps instead")
        need(
            all(step >= 1 for step in self.steps) and list(self.steps) == sorted(set(self.steps)),
            f"{self.name}: steps must ascend",
            "steps = [1000, 5000, 20000]",
        )
        need(
            self.people == "split" or not isinstance(self.people, str),
            f"{self.name}: people is {self.people!r}",
            '"split", or lists of names',
        )
        counted = bool(self.steps) or "steps" in self.settings or not self.recipe
        need(counted, f"{self.name}: a recipe needs steps", "steps = [2000]")
        if self.run is None:
            _ = self.training
            snapshots = self.ladder[-1] // math.gcd(*self.ladder)
            need(snapshots <= _MOST_SNAPSHOTS, f"{self.name}: too many snapshots", "steps with a larger common divisor")

    @property
    def training(self) -> TrainConfig:
        """The settings of the training."""
        ladder = {"steps": self.steps[-1]} if self.steps else {}
        below = load_recipe(self.recipe) if self.recipe else {}
        below.pop("minutes", None)
        config = from_mapping(TrainConfig, merged(below, self.settings | ladder), where=f"swapper {self.name}")
        if len(self.steps) < 2:
            return config
        every = math.gcd(*self.steps)
        return from_mapping(TrainConfig, to_mapping(config) | {"save_every": every, "snapshot_every": every})

    @property
    def ladder(self) -> tuple[int, ...]:
        """The steps that are exported."""
        return self.steps or (self.training.steps,)


@dataclass(frozen=True)
class ManipulationConfig:
    """``[[manipulation]]``: a swapper with settings and pairs of people.

    Attributes:
        swapper: name of a ``[[swapper]]``; steps: which of its exports, by default all.
        pairs: ``all``, ``ring`` (each person receives the face of the next), ``sample:N`` (N pairs of each model's
            people) or a list of [source, target]. Only people of one model are paired.
        clips: maximum number of clips per target; None for all.
        paste: presets of pasting (see ``assay forge pastes``); each clip gets one of them, with settings drawn from its
            ranges: a name, a list of names, or names with weights, ``{ box = 3, poisson = 1 }``. ``settings``
            and ``factors`` override what is drawn.
        settings: see ``assay forge swap --help``; factors: dotted names to lists of values, say
            ``"color.method" = ["mean-std", "lct"]``.
        combine: ``grid`` makes every combination of the factors, ``sample:N`` samples N of them for each pair.
        segments: forge only part of the frames. one_of_many: of several faces in a clip, forge a random one.
        self_swaps: make A to A too, when the set has controls.
    """

    name: str
    swapper: str
    steps: tuple[int, ...] = ()
    pairs: str | tuple[tuple[str, str], ...] = "all"
    clips: int | None = None
    paste: str | tuple[str, ...] | dict[str, float] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    factors: dict[str, list[Any]] = field(default_factory=dict)
    combine: str = "grid"
    segments: SegmentsConfig | None = None
    one_of_many: bool = False
    self_swaps: bool = True

    def __post_init__(self) -> None:
        checked_name(self.name, "manipulation")
        need(self.name != "real" and not self.name.endswith("-self"), f"{self.name!r} is taken", "another name")
        need(
            not isinstance(self.pairs, str) or self.pairs in ("all", "ring") or sample_size(self.pairs) is not None,
            f"{self.name}: pairs is {self.pairs!r}",
            "all, ring, sample:N or a list of [source, target]",
        )
        need(
            self.combine == "grid" or sample_size(self.combine) is not None,
            f"{self.name}: combine is {self.combine!r}",
            "grid or sample:N",
        )
        need(all(self.factors.values()), f"{self.name}: a factor has no values", "a list of one or more")
        for paste, weight in self.pastes.items():
            preset_named(paste)
            need(weight > 0, f"{self.name}: paste {paste} has the weight {weight}", "weights are above 0")
        twice = bool(self.pastes) and ("paste" in self.settings or "paste" in self.factors)
        need(not twice, f"{self.name}: paste is drawn, and set too", "leave one of them out")

    @property
    def pastes(self) -> dict[str, float]:
        """The presets to draw from, with their weights."""
        if isinstance(self.paste, dict):
            return self.paste
        return dict.fromkeys((self.paste,) if isinstance(self.paste, str) else self.paste, 1.0)


@dataclass(frozen=True)
class SetSpec:
    """The contents of a ``set.toml``, and its folder."""

    set: SetConfig
    identity: tuple[IdentityConfig, ...]
    swapper: tuple[SwapperConfig, ...] = ()
    manipulation: tuple[ManipulationConfig, ...] = ()
    reenactment: tuple[ReenactmentConfig, ...] = ()
    generation: tuple[GenerationConfig, ...] = ()
    renditions: tuple[str | dict[str, Any], ...] = ("c0", "c23", "c40")
    splits: SplitsConfig = field(default_factory=SplitsConfig)
    faces: FacesConfig = field(default_factory=FacesConfig)
    speech: SpeechConfig | None = None
    folder: Path = Path()

    def __post_init__(self) -> None:
        for kinds in (("identity",), ("swapper",), ("manipulation", "reenactment", "generation")):
            names, kind = [one.name for kind in kinds for one in getattr(self, kind)], "]] or [[".join(kinds)
            twice = sorted({name for name in names if names.count(name) > 1})
            need(not twice, f"two of [[{kind}]] are called {', '.join(twice)}", "names differ")
        names = [one.name for one in self.ladder]
        stills_alone = bool(self.generation) and not self.manipulation and not self.reenactment
        named = (bool(names) or stills_alone) and len(set(names)) == len(names)
        need(named, "renditions must have names that differ", "c0, c23, ...")
        need(self.set.controls or not self.generation, "without controls a set has no stills", "leave controls out")
        known = [one.name for one in self.swapper]
        for one in (*self.manipulation, *(drive for drive in self.reenactment if drive.swapper)):
            need(one.swapper in known, f"{one.name}: no swapper {one.swapper!r}", near_matches(one.swapper, known))
        silent = [one.name for one in self.reenactment if one.family == "lipsync" and not self.set.audio]
        need(not silent, f"{', '.join(silent)}: a set without sound has no lipsync", "leave audio = false out")
        check_targets(self.reenactment, [one.name for one in self.generation])
        self._check_people()

    def _check_people(self) -> None:
        known = [one.name for one in self.identity]
        named = [name for people in self.splits.named.values() for name in people]
        for one in self.swapper:
            named += [] if isinstance(one.people, str) else [name for group in one.people for name in group]
        for one in (*self.manipulation, *self.reenactment):
            named += [] if isinstance(one.pairs, str) else [name for pair in one.pairs for name in pair]
        for name in named:
            need(name in known, f"no [[identity]] is called {name!r}", near_matches(name, known))
        if self.splits.named:
            missing = sorted(set(known) - {name for people in self.splits.named.values() for name in people})
            need(not missing, f"[splits] does not name {', '.join(missing)}", "name all people, or none")

    @property
    def drives_photographs(self) -> bool:
        """Whether photographs are targets of a re-enactment."""
        return any(one.targets == PHOTOGRAPHS for one in self.reenactment)

    @property
    def ladder(self) -> tuple[Rendition, ...]:
        """The renditions, in order; the first is the parent of the others."""
        return tuple(
            known_rendition(one) if isinstance(one, str) else _rendition(one, "renditions") for one in self.renditions
        )

    def clip_path(self, clip: str) -> Path:
        """Path of a clip.

        Raises:
            ConfigError: its path names a variable that is not set.
        """
        base = self.folder / _expanded(self.set.media)
        return (base / _expanded(clip)).resolve()

    def file(self, name: str) -> Path:
        """Path of a file or folder that the settings name, which is relative to their own.

        Raises:
            ConfigError: its path names a variable that is not set.
        """
        return (self.folder / _expanded(name)).resolve()


def load_spec(path: Path) -> SetSpec:
    """The settings in ``path``.

    Raises:
        ConfigError: not TOML, or a setting that is unknown, of the wrong type or inconsistent with another.
    """
    mapping = read_toml(path)
    need("set" in mapping, f"{path} has no [set]", "give the set a name: [set] and name = ...")
    need(bool(mapping.get("identity")), f"{path} has no [[identity]]", "a set is made of people and their clips")
    return from_mapping(SetSpec, mapping | {"folder": str(path.resolve().parent)}, where=path.name)


def _rendition(entry: Mapping[str, Any], where: str) -> Rendition:
    """A rendition from flat settings: ``{name = "small", codec = "libx265", crf = 30, size = 240}``."""
    own = {one.name for one in fields(Encoding)}
    plain = dict(entry)
    steps = plain.pop("through", [])
    need(isinstance(steps, list), f"{where}: through is a list of encodes", "through = [{crf = 30, size = 240}]")
    encoding = from_mapping(Encoding, {k: plain.pop(k) for k in list(plain) if k in own}, where=where)
    name = plain.pop("name", None)
    need(isinstance(name, str), f"{where}: a rendition has no name", 'name = "c23"')
    size = plain.pop("size", None)
    need(not plain, f"{where}: unknown setting {next(iter(plain), '')!r}", f"name, size, through, {', '.join(own)}")
    need(size is None or isinstance(size, int), f"{where}: size is a number of pixels", "size = 240")
    chain = tuple(_rendition({"name": f"step-{n}", **step}, where) for n, step in enumerate(steps))
    return Rendition(str(name), encoding, size, chain)


def _expanded(text: str) -> str:
    done = os.path.expandvars(text)
    if "$" in done:
        raise ConfigError(f"{text!r} names a variable that is not set", hint="set it, or write the path")
    return done
