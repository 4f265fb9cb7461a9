"""Values common to ``forge`` and ``detect``. Frozen; shapes and consistency are checked on creation.

Convention:
    image: (H, W, 3) uint8, RGB
    landmarks: (68, 2) float32, (x, y), frame pixels, pixel centres at integers, origin top left, iBUG order
    box: (4,) float32, (x0, y0, x1, y1), frame pixels
    frame_to_crop: (2, 3) float64, maps frame pixels to crop pixels
    mask: (H, W) float32 in [0, 1]
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from functools import total_ordering
from typing import Literal

import numpy as np

Label = Literal["real", "fake"]
Kind = Literal["real", "swap", "reenact", "generate", "speech"]
Split = Literal["train", "val", "test"]
Framing = Literal["half", "midface", "full", "whole", "head"]
HullKind = Literal["extended", "components", "facehull", "dfl"]

MAX_FRAMES = 4_000_000
"""Frames of a clip, at most: 22 hours at 50 a second."""
MAX_SIDE_PX = 16_384
SPLITS: tuple[Split, ...] = ("train", "val", "test")
NUM_LANDMARKS = 68

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=@-]{0,199}")


def _need_shape(name: str, value: np.ndarray, shape: tuple[int | None, ...]) -> None:
    matches = value.ndim == len(shape) and all(w is None or w == g for w, g in zip(shape, value.shape, strict=True))
    if not matches:
        wanted = tuple("n" if side is None else side for side in shape)
        raise ValueError(f"{name} must be {wanted}, got {value.shape}")


def check_name(name: str, what: str = "name") -> str:
    """Returns ``name`` if it is safe in a path and a URL.

    Raises:
        ValueError: empty, longer than 200 characters, or with characters other than letters, digits and ``._+=@-``.
    """
    if not _SAFE_NAME.fullmatch(name):
        raise ValueError(f"{what} {name!r} may hold letters, digits and . _ + = @ - and starts with a letter or digit")
    return name


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Timestamp:
    """An exact time in a stream: ``pts`` ticks of ``time_base`` seconds.

    Compared by time: 1 tick of 1/25 s equals 512 ticks of 1/12800 s.
    """

    pts: int
    time_base: Fraction

    def __post_init__(self) -> None:
        if self.time_base <= 0:
            raise ValueError(f"time_base must be positive, got {self.time_base}")

    def __eq__(self, other: object) -> bool:
        return self.exact_seconds == other.exact_seconds if isinstance(other, Timestamp) else NotImplemented

    def __lt__(self, other: Timestamp) -> bool:
        return self.exact_seconds < other.exact_seconds if isinstance(other, Timestamp) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.exact_seconds)

    @property
    def exact_seconds(self) -> Fraction:
        """Seconds as a fraction."""
        return self.pts * self.time_base

    @property
    def seconds(self) -> float:
        """Seconds, rounded to a float, for display."""
        return float(self.exact_seconds)


@dataclass(frozen=True)
class StreamFacts:
    """One stream of a file. ``is_read``: whether its pictures or sound are used; ``tags``: sorted pairs."""

    kind: str
    codec: str
    is_default: bool
    is_read: bool
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ClockRestart:
    """A discontinuity of a file's timestamps, for example where two recordings were joined.

    ``seconds``: its time on the continuous clock; ``before``, ``after``: the file's timestamps in seconds; ``kind``: of
    the stream with the first discontinuity.
    """

    kind: str
    seconds: float
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Properties of a video as declared by its container, and as counted.

    Convention:
        width, height: as displayed: in square pixels, after ``rotation`` (degrees clockwise, 0, 90, 180 or 270)
        frames_declared: from the container's header; None if not declared
        frames_counted: by reading the whole stream; None if not counted
        pixel_aspect: displayed width of a stored pixel over its height; decoded pictures have square pixels
        transfer, primaries, matrix, color_range: as declared, by FFmpeg's names; None if not declared
        dynamic_hdr: metadata that vary the brightness by scene and are not applied: "HDR10+", "Dolby Vision"
        field_order: "progressive", or the order of the fields of an interlaced picture; decoded pictures are
            deinterlaced
        clock_origin: the file's first timestamp in seconds; times are relative to it
        clock_restarts, size_changes: discontinuities of timestamps, and (frame, width, height) of stored pictures whose
            size differs from the previous one; empty until the whole stream was read
        tags: of the container; streams: all streams
    """

    width: int
    height: int
    frame_rate: Fraction | None
    time_base: Fraction
    frames_declared: int | None
    frames_counted: int | None
    duration_seconds: float | None
    codec: str
    pixel_format: str
    bit_depth: int
    rotation: int
    container: str
    has_audio: bool
    audio_codec: str | None = None
    bit_rate: int | None = None
    profile: str | None = None
    encoder: str | None = None
    pixel_aspect: Fraction = Fraction(1)
    transfer: str | None = None
    primaries: str | None = None
    matrix: str | None = None
    color_range: str | None = None
    field_order: str = "progressive"
    has_alpha: bool = False
    clock_origin: Fraction = Fraction(0)
    clock_restarts: tuple[ClockRestart, ...] = ()
    size_changes: tuple[tuple[int, int, int], ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    streams: tuple[StreamFacts, ...] = ()
    dynamic_hdr: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a video has a size, got {self.width}x{self.height}")
        if self.rotation not in (0, 90, 180, 270):
            raise ValueError(f"rotation must be 0, 90, 180 or 270, got {self.rotation}")


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A picture with its time. ``index`` counts decoded frames from 0; see the module's convention for ``image``."""

    index: int
    time: Timestamp
    image: np.ndarray

    def __post_init__(self) -> None:
        _need_shape("image", self.image, (None, None, 3))
        if self.image.dtype != np.uint8:
            raise ValueError(f"image must be uint8, got {self.image.dtype}")


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in one frame: box and landmarks and, if known, track and identity.

    ``landmarks`` are (68, 2) in frame pixels; ``confidence`` is the face detector's score, not a probability;
    ``identity_embedding`` is (D,) float32 of unit length or as its model defines it.
    """

    box: np.ndarray
    landmarks: np.ndarray
    confidence: float
    track: int | None = None
    identity_embedding: np.ndarray | None = None

    def __post_init__(self) -> None:
        _need_shape("box", self.box, (4,))
        _need_shape("landmarks", self.landmarks, (NUM_LANDMARKS, 2))
        if not np.isfinite(self.landmarks).all() or not np.isfinite(self.box).all():
            raise ValueError("box and landmarks must be finite")
        if self.box[2] <= self.box[0] or self.box[3] <= self.box[1]:
            raise ValueError(f"box must have x0 < x1 and y0 < y1, got {self.box.tolist()}")

    @property
    def width_px(self) -> float:
        """Width of the box in frame pixels."""
        return float(self.box[2] - self.box[0])


@dataclass(frozen=True, slots=True, eq=False)
class AlignedFace:
    """One aligned face crop.

    Convention:
        crop: (S, S, 3) uint8, RGB
        landmarks: (68, 2) float32, frame pixels
        frame_to_crop: (2, 3) float64, frame pixels to crop pixels
        frame: index of the frame it was cut from
    """

    crop: np.ndarray
    landmarks: np.ndarray
    frame_to_crop: np.ndarray
    frame: int

    def __post_init__(self) -> None:
        _need_shape("crop", self.crop, (self.crop.shape[0], self.crop.shape[0], 3))
        _need_shape("landmarks", self.landmarks, (NUM_LANDMARKS, 2))
        _need_shape("frame_to_crop", self.frame_to_crop, (2, 3))


@dataclass(frozen=True, slots=True, eq=False)
class SwappedFace:
    """The output of a swapper for one aligned face.

    Convention:
        crop: (S, S, 3) float32 in [0, 1], RGB
        mask: (S, S) float32 in [0, 1], or None for a model without a mask
        frame_to_crop: (2, 3) float64, frame pixels to *this* crop's pixels
    """

    crop: np.ndarray
    mask: np.ndarray | None
    frame_to_crop: np.ndarray

    def __post_init__(self) -> None:
        side = self.crop.shape[0]
        _need_shape("crop", self.crop, (side, side, 3))
        if self.mask is not None:
            _need_shape("mask", self.mask, (side, side))
        _need_shape("frame_to_crop", self.frame_to_crop, (2, 3))


@dataclass(frozen=True, slots=True, order=True)
class ClipId:
    """The identifier of a clip, used as key everywhere instead of paths.

    ``manipulation`` is None for a real clip. As text: ``dataset/manipulation/name``, with ``real`` for None.
    """

    dataset: str
    manipulation: str | None
    name: str

    def __post_init__(self) -> None:
        check_name(self.dataset, "dataset")
        check_name(self.name, "clip name")
        if self.manipulation is not None:
            check_name(self.manipulation, "manipulation")
            if self.manipulation == "real":
                raise ValueError("a manipulation cannot be called 'real'")

    def __str__(self) -> str:
        return f"{self.dataset}/{self.manipulation or 'real'}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> ClipId:
        """The inverse of ``str``.

        Raises:
            ValueError: not three parts, or a part with forbidden characters.
        """
        parts = text.split("/")
        if len(parts) != 3:
            raise ValueError(f"a clip id reads dataset/manipulation/name, got {text!r}")
        dataset, manipulation, name = parts
        return cls(dataset, None if manipulation == "real" else manipulation, name)


@dataclass(frozen=True, slots=True)
class Masks:
    """Paths, inside the dataset, of the three lossless mask tracks of a fake, all made before compression.

    ``alpha`` is the compositor's mask, ``changed`` marks pixels that differ, ``region`` is the face region by the model
    or the landmarks. ``sha256`` holds the digests of the three files in that order, filled in when the clip is added.
    """

    alpha: str
    changed: str
    region: str
    sha256: tuple[str, str, str] | None = None

    @property
    def paths(self) -> dict[str, str]:
        """Path of each mask by name."""
        return {"alpha": self.alpha, "changed": self.changed, "region": self.region}


@dataclass(frozen=True, slots=True)
class ClipRecord:
    """One manifest line: all facts of a clip.

    Convention:
        path, masks: POSIX paths inside the dataset folder
        sha256: of the file's bytes, hex
        content_sha256: of the file before signing; equal for equal builds, while signatures are salted
        target_identity: the filmed person; source_identity: the person whose face is used, or whose performance drives
            a re-enactment (fakes only)
        faked: half-open frame ranges with forged pixels; empty for a real clip
        rights: the basis on which the material may be used ("consent", "public-domain", "CC-BY-4.0", "synthetic", ...)
        parent: the clip that this one was made from
        swapper: SHA-256 of the swapper's weights; config: digest of the resolved settings
    """

    id: ClipId
    kind: Kind
    label: Label
    path: str
    sha256: str
    target_identity: str
    rights: str
    frames: int
    width: int
    height: int
    codec: str
    rendition: str = "original"
    split: Split | None = None
    source_identity: str | None = None
    faked: tuple[tuple[int, int], ...] = ()
    masks: Masks | None = None
    swapper: str | None = None
    architecture: str | None = None
    config: str | None = None
    seed: int | None = None
    parent: ClipId | None = None
    content_sha256: str | None = None
    tool_version: str = ""
    factors: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.label == "fake") != (self.id.manipulation is not None):
            raise ValueError(f"{self.id}: a fake names its manipulation, a real clip has none")
        if (self.label == "real") != (self.kind == "real"):
            raise ValueError(f"{self.id}: label {self.label!r} contradicts kind {self.kind!r}")
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"{self.id}: sha256 must be 64 hex digits")
        if self.label == "fake" and self.kind == "swap" and self.source_identity is None:
            raise ValueError(f"{self.id}: a swap names the source identity")
        if self.label == "real" and (self.faked or self.masks or self.source_identity):
            raise ValueError(f"{self.id}: a real clip has no faked frames, masks or source identity")
        if not (0 <= self.frames <= MAX_FRAMES and 0 <= self.width <= MAX_SIDE_PX and 0 <= self.height <= MAX_SIDE_PX):
            raise ValueError(
                f"{self.id}: {self.frames} frames of {self.width}x{self.height} are more than any clip has"
            )
        last = -1
        for start, stop in self.faked:
            if not (last < start < stop <= self.frames):
                raise ValueError(f"{self.id}: faked ranges must be ascending, apart and within {self.frames} frames")
            last = stop

    @property
    def identities(self) -> tuple[str, ...]:
        """Target and source identities of the clip, without repeats."""
        people = (self.target_identity, self.source_identity)
        return tuple(dict.fromkeys(person for person in people if person))

    @property
    def is_self_swap(self) -> bool:
        """Whether the person's own face or performance was put in: a model's pixels without a change of identity."""
        return self.kind in ("swap", "reenact", "generate") and self.source_identity == self.target_identity


@dataclass(frozen=True, slots=True)
class FrameLabel:
    """One row of ``frames.parquet``: a face in a frame, or a frame without a face (``track`` and ``box`` None).

    ``label`` is that of the frame, so unmodified frames of a fake clip are "real".
    """

    clip: ClipId
    frame: int
    pts: int
    seconds: float
    label: Label
    track: int | None = None
    box: tuple[float, float, float, float] | None = None
    face_px: float | None = None
