"""The settings of one swap. Defaults live here and nowhere else; the command line reads them.

One group a stage: ``[color]``, ``[mask]``, ``[blend]``, ``[degrade]``, ``[temporal]``, ``[output]`` in a settings file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Literal

from shared.config import need
from shared.types import HullKind
from shared.video.encoding import CodecName, Encoding

ColorMethod = Literal["none", "average", "mean-std", "reinhard", "lct", "mkl", "histogram", "idt", "sot", "manual"]
MaskChoice = Literal[
    "auto", "full", "hull", "learned-source", "learned-target", "learned-product", "learned-sum"
]  # fmt: skip
BlendMethod = Literal["alpha", "poisson", "poisson-mixed", "pyramid", "overlay"]
SharpenKind = Literal["box", "gauss", "unsharp"]
SmoothMethod = Literal["none", "one-euro", "zero-phase"]
DegradePlace = Literal["face", "frame"]

_HINT = "see assay forge swap --help and assay docs paste"
_PYTHON = "python:"


@dataclass(frozen=True)
class ColorConfig:
    """Colour transfer from the target to the swapped face, and manual corrections after it.

    Convention:
        method: a transfer of :mod:`forge.swapping.color`; ``manual`` and ``none`` transfer nothing
        gain, offset: by channel, ``x * gain + offset`` with x in [0, 1]
        brightness: added to every channel, -1 to 1; contrast: multiplies the distance from middle grey
        gamma: ``x ** (1 / gamma)``, so above 1 is brighter; saturation: multiplies the distance from grey
    """

    method: ColorMethod = "mean-std"
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    brightness: float = 0.0
    contrast: float = 1.0
    gamma: float = 1.0
    saturation: float = 1.0

    def __post_init__(self) -> None:
        need(all(0 <= one <= 4 for one in self.gain), "color.gain must lie between 0 and 4", _HINT)
        need(all(-1 <= one <= 1 for one in self.offset), "color.offset must lie between -1 and 1", _HINT)
        _between("color.brightness", self.brightness, -1, 1)
        _between("color.contrast", self.contrast, 0, 4)
        _between("color.gamma", self.gamma, 0.1, 10)
        _between("color.saturation", self.saturation, 0, 4)

    @property
    def is_adjusted(self) -> bool:
        """Whether there is a manual correction."""
        plain = ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), 0.0, 1.0, 1.0, 1.0)
        return (self.gain, self.offset, self.brightness, self.contrast, self.gamma, self.saturation) != plain


@dataclass(frozen=True)
class MaskConfig:
    """Which part of the crop is pasted.

    Convention:
        kind: ``learned-source`` is the mask of the source's decoder, ``learned-target`` that of the target's decoder
            for the same face, ``learned-product`` and ``learned-sum`` (at most 1) combine the two; ``auto`` is
            ``learned-source`` inside the hull for a swapper with a mask, ``hull`` for one without
        inside_hull: cuts a learned mask by the landmarks' hull
        erode: shrinks all round, erode_top to erode_right one side; blur: softens both ways; feather: softens inward;
            border: width of the fade to the crop's edge. All are fractions of the crop's side, so that they mean the
            same at 64 and at 512 pixels; negative erosion grows
    """

    kind: MaskChoice = "auto"
    hull: HullKind = "extended"
    inside_hull: bool = False
    erode: float = 0.0
    erode_top: float = 0.0
    erode_bottom: float = 0.0
    erode_left: float = 0.0
    erode_right: float = 0.0
    blur: float = 0.0
    feather: float = 0.025
    border: float = 0.08

    def __post_init__(self) -> None:
        for name in ("erode", "erode_top", "erode_bottom", "erode_left", "erode_right"):
            _between(f"mask.{name}", getattr(self, name), -0.25, 0.25)
        _between("mask.blur", self.blur, 0, 0.25)
        _between("mask.feather", self.feather, 0, 0.25)
        need(0 < self.border <= 0.25, "mask.border must be above 0 and at most 0.25", _HINT)

    @property
    def sides(self) -> tuple[float, float, float, float]:
        """Erosion of the top, bottom, left and right."""
        return self.erode_top, self.erode_bottom, self.erode_left, self.erode_right


@dataclass(frozen=True)
class BlendConfig:
    """Processing of the swapped crop, and its blending with the frame.

    Convention:
        levels: of the pyramid, at most; scale: of the face about the crop's centre
        sharpen: how much of the detail finer than sharpen_radius (crop pixels) is added again; sharpen_threshold: for
            ``unsharp``, detail weaker than this (of 1) is not sharpened
        motion_blur: share of the time between frames for which the shutter is open, 0 for none, 0.5 as in films
        enlarge: ``none``, ``lanczos``, ``restorer`` for the package's own (forge/models/restorer.py), which doubles the
            side, or ``python:FILE`` for a file of your own with a function ``enlarge(crop)``, (S, S, 3) uint8 RGB to a
            larger square one; it is run as your own code, with all your rights
        enlarge_factor: of ``lanczos``
    """

    method: BlendMethod = "alpha"
    levels: int = 5
    scale: float = 1.0
    sharpen: float = 0.0
    sharpen_kind: SharpenKind = "gauss"
    sharpen_radius: float = 1.0
    sharpen_threshold: float = 0.02
    motion_blur: float = 0.0
    enlarge: str = "none"
    enlarge_factor: int = 2

    def __post_init__(self) -> None:
        _between("blend.levels", self.levels, 1, 8)
        _between("blend.scale", self.scale, 0.5, 2)
        _between("blend.sharpen", self.sharpen, 0, 4)
        _between("blend.sharpen_radius", self.sharpen_radius, 0.3, 16)
        _between("blend.sharpen_threshold", self.sharpen_threshold, 0, 1)
        _between("blend.motion_blur", self.motion_blur, 0, 2)
        known = self.enlarge in ("none", "lanczos", "restorer") or bool(
            self.enlarge.removeprefix(_PYTHON) != self.enlarge
        )
        need(known, f"blend.enlarge {self.enlarge!r} is not known", "none, lanczos, restorer, or python:FILE.py")
        _between("blend.enlarge_factor", self.enlarge_factor, 2, 8)


@dataclass(frozen=True)
class DegradeConfig:
    """Deliberate degradations, applied in this order; each is a factor of a dataset.

    Convention:
        denoise: radius of a median filter in pixels, 0 for none; resample: reduced by this factor and enlarged
            again, 1 for none; color_steps: levels a channel, 0 for all 256; noise: standard deviation in grey levels
        to: ``face`` degrades the swapped face alone; ``frame`` the whole of every frame that holds one, and then the
            mask of changed pixels spans the frame
    """

    denoise: int = 0
    resample: float = 1.0
    color_steps: int = 0
    noise: float = 0.0
    to: DegradePlace = "face"

    def __post_init__(self) -> None:
        _between("degrade.denoise", self.denoise, 0, 7)
        _between("degrade.resample", self.resample, 1, 16)
        need(self.color_steps == 0 or 2 <= self.color_steps <= 256, "degrade.color_steps is 0 or 2 to 256", _HINT)
        _between("degrade.noise", self.noise, 0, 64)

    @property
    def is_none(self) -> bool:
        """Whether nothing is degraded."""
        return not self.denoise and self.resample == 1 and self.color_steps in (0, 256) and not self.noise


@dataclass(frozen=True)
class TemporalConfig:
    """How landmarks and colours are smoothed over a track, and gaps of detection bridged.

    Convention:
        landmarks, color: ``zero-phase`` looks as far ahead as back; ``one-euro`` (Casiez et al. 2012) looks only back,
            as a live swap has to, and lags a little
        color_seconds: width (sigma) of the zero-phase window over colours
        cutoff_hz, beta, derivative_hz: of the One-Euro filter of landmarks, whose speed is in face widths a second
        color_hz: least cut-off of the One-Euro filter of colours
        max_gap_frames: the longest gap of detection that is bridged by interpolated landmarks; 0 for none
    """

    landmarks: SmoothMethod = "zero-phase"
    color: SmoothMethod = "zero-phase"
    color_seconds: float = 0.12
    cutoff_hz: float = 1.5
    beta: float = 12.0
    derivative_hz: float = 1.0
    color_hz: float = 1.0
    max_gap_frames: int = 30

    def __post_init__(self) -> None:
        _between("temporal.color_seconds", self.color_seconds, 0, 5)
        _between("temporal.cutoff_hz", self.cutoff_hz, 0.01, 100)
        _between("temporal.beta", self.beta, 0, 1000)
        _between("temporal.derivative_hz", self.derivative_hz, 0.01, 100)
        _between("temporal.color_hz", self.color_hz, 0.01, 100)
        _between("temporal.max_gap_frames", self.max_gap_frames, 0, 250)


@dataclass(frozen=True)
class OutputConfig:
    """How the fake is written.

    Convention:
        codec, crf, pixel_format, preset: see :class:`shared.video.Encoding`; a crf of None is the encoder's usual one
        gif: also writes a small animated preview, signed like the clip
    """

    codec: CodecName = "libx264"
    crf: int | None = None
    pixel_format: str = "yuv420p"
    preset: str = "medium"
    gif: bool = False

    def __post_init__(self) -> None:
        _ = self.encoding

    @property
    def encoding(self) -> Encoding:
        """As the video writer takes it."""
        usual = Encoding.usual(self.codec, self.pixel_format, self.preset)
        return usual if self.crf is None else replace(usual, crf=self.crf)


@dataclass(frozen=True)
class SwapConfig:
    """How a face is found, made, coloured, pasted and written.

    Convention:
        detect_every: a full detection on every n-th frame, following in between; None for what suits the finder
        face: ``main`` (the person with most area), ``all``, or numbers: 0 is the main person, 1 the next in area, and
            ``0,2`` two of them
        same_distance: distance of identity embeddings below which two tracks are one person; None for the usual one
            (:func:`forge.swapping.people.people_of`)
        segments: half-open frame ranges to swap in, ascending and apart; none is the whole clip. Frames outside keep
            the target's own pixels and are labelled real
        morph: for swappers that can: 1 is the source's face, 0 the target's, between them a mixture
        seed: of the random directions of the colour transfers ``idt`` and ``sot`` and of the noise; nothing else is
            random
    """

    finder: str = "auto"
    detect_every: int | None = None
    min_face_px: float = 40.0
    face: str = "main"
    same_distance: float | None = None
    segments: tuple[tuple[int, int], ...] = ()
    morph: float = 1.0
    color: ColorConfig = field(default_factory=ColorConfig)
    mask: MaskConfig = field(default_factory=MaskConfig)
    blend: BlendConfig = field(default_factory=BlendConfig)
    degrade: DegradeConfig = field(default_factory=DegradeConfig)
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    batch: int = 16
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        need(self.detect_every is None or self.detect_every >= 1, "detect_every must be 1 or more", _HINT)
        need(self.min_face_px > 0, "min_face_px must be positive", _HINT)
        numbers = all(part.isdecimal() for part in self.face.split(","))
        need(self.face in ("main", "all") or numbers, "face is main, all, or numbers from 0 such as 0,2", _HINT)
        _between("morph", self.morph, 0, 1)
        need(self.same_distance is None or 0 < self.same_distance <= 2, "same_distance lies between 0 and 2", _HINT)
        _between("batch", self.batch, 1, 1024)
        last = -1
        for start, stop in self.segments:
            need(last < start < stop, "segments are ranges of frames, ascending and apart", "such as [[0, 50]]")
            last = stop


def setting_factors(config: SwapConfig) -> dict[str, str]:
    """The settings as factors of a record: the main ones, and every other that is not the default.

    Names are those of the settings file, ``blend.method`` for the method of ``[blend]``; paths of files are left out.
    """
    factors = {
        "face": config.face,
        "color": config.color.method,
        "mask": config.mask.kind,
        "blend": config.blend.method,
    }
    for group in ("color", "mask", "blend", "degrade", "temporal"):
        chosen = getattr(config, group)
        for one in fields(chosen):
            value = getattr(chosen, one.name)
            if value != one.default and one.name not in ("method", "kind"):
                factors[f"{group}.{one.name}"] = "python" if str(value).startswith(_PYTHON) else str(value)
    if config.morph != 1:
        factors["morph"] = str(config.morph)
    return factors


def _between(name: str, value: float, low: float, high: float) -> None:
    need(low <= value <= high, f"{name} must lie between {low} and {high}, got {value}", _HINT)
