"""The settings of one swap. Defaults live here and nowhere else; the command line reads them.

One group a stage: ``[color]``, ``[mask]``, ``[blend]``, ``[degrade]``, ``[temporal]``, ``[output]`` in a settings file,
and ``[square]`` and ``[restore]``, which exist only where they are given, by hand or by a paste.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal

from shared.config import need
from shared.faces.pastes.config import HINT, MaskConfig, SquareConfig, between
from shared.faces.pastes.presets import drawn_names
from shared.registry import near_matches
from shared.video.encoding import CodecName, Encoding

ColorMethod = Literal["none", "average", "mean-std", "reinhard", "lct", "mkl", "histogram", "idt", "sot", "manual"]
BlendMethod = Literal["alpha", "poisson", "poisson-mixed", "pyramid", "overlay"]
SharpenKind = Literal["box", "gauss", "unsharp"]
SmoothMethod = Literal["none", "one-euro", "zero-phase"]
DegradePlace = Literal["face", "frame", "background"]
Rounding = Literal["nearest", "floor"]
CloneCenter = Literal["mask", "opaque"]

_PYTHON = "python:"


@dataclass(frozen=True)
class ColorConfig:
    """Colour transfer from the target to the swapped face, and manual corrections after it.

    Convention:
        method: a transfer of :mod:`forge.swapping.color`; ``manual`` and ``none`` transfer nothing
        gain, offset: by channel, ``x * gain + offset`` with x in [0, 1]
        brightness: added to every channel, -1 to 1; contrast: multiplies the distance from middle grey
        gamma: ``x ** (1 / gamma)``, so above 1 is brighter; saturation: multiplies the distance from grey
        zero_filled: statistics are of the whole crop, pixels outside of the mask counted as zero in the method's
            colour space, as DeepFaceLab does; for affine methods
    """

    method: ColorMethod = "mean-std"
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    brightness: float = 0.0
    contrast: float = 1.0
    gamma: float = 1.0
    saturation: float = 1.0
    zero_filled: bool | None = None

    def __post_init__(self) -> None:
        need(all(0 <= one <= 4 for one in self.gain), "color.gain must lie between 0 and 4", HINT)
        need(all(-1 <= one <= 1 for one in self.offset), "color.offset must lie between -1 and 1", HINT)
        between("color.brightness", self.brightness, -1, 1)
        between("color.contrast", self.contrast, 0, 4)
        between("color.gamma", self.gamma, 0.1, 10)
        between("color.saturation", self.saturation, 0, 4)

    @property
    def is_adjusted(self) -> bool:
        """Whether there is a manual correction."""
        plain = ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), 0.0, 1.0, 1.0, 1.0)
        return (self.gain, self.offset, self.brightness, self.contrast, self.gamma, self.saturation) != plain


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
        opacity: of the whole face; 1 where it is left out
        rounding: of mixed values to grey levels; ``nearest`` where it is left out
        clone_above: alpha above which a pixel belongs to the binary mask of Poisson blending; 0 where it is left out
        clone_center: ``opaque`` takes the centre of the box of pixels whose alpha is 1 for that of the mask, which
            moves the face by up to a few pixels; ``mask``, also where it is left out, does not move it
        clone_jitter: moves the cloned face by at most so many pixels either way, anew in every frame
        clone_mixed: mix the cloned face by alpha again, also where it is left out; otherwise all of the binary mask
            is replaced
        prefilter: undo the blur of averaging and enlarging a crop that is coarser than the frame
            (forge/swapping/prefilter.py); not with a square of its own
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
    opacity: float | None = None
    rounding: Rounding | None = None
    clone_above: float | None = None
    clone_center: CloneCenter | None = None
    clone_jitter: int | None = None
    clone_mixed: bool | None = None
    prefilter: bool = True

    def __post_init__(self) -> None:
        between("blend.levels", self.levels, 1, 8)
        between("blend.scale", self.scale, 0.5, 2)
        between("blend.sharpen", self.sharpen, 0, 4)
        between("blend.sharpen_radius", self.sharpen_radius, 0.3, 16)
        between("blend.sharpen_threshold", self.sharpen_threshold, 0, 1)
        between("blend.motion_blur", self.motion_blur, 0, 2)
        known = self.enlarge in ("none", "lanczos", "restorer") or bool(
            self.enlarge.removeprefix(_PYTHON) != self.enlarge
        )
        need(known, f"blend.enlarge {self.enlarge!r} is not known", "none, lanczos, restorer, or python:FILE.py")
        between("blend.enlarge_factor", self.enlarge_factor, 2, 8)
        between("blend.clone_above", self.clone_above or 0, 0, 0.99)
        between("blend.clone_jitter", self.clone_jitter or 0, 0, 3)
        need(self.opacity is None or 0 < self.opacity <= 1, "blend.opacity lies above 0, at most 1", HINT)


@dataclass(frozen=True)
class DegradeConfig:
    """Deliberate degradations, applied in this order; each is a factor of a dataset.

    Convention:
        denoise: radius of a median filter in pixels, 0 for none; resample: reduced by this factor and enlarged
            again, 1 for none; color_steps: levels a channel, 0 for all 256; noise: standard deviation in grey levels
        color_rounding: to the nearest of these levels, also where it is left out, or to the one below
        color_offset: so many levels are added after that
        to: ``face`` degrades the swapped face alone; ``frame`` the whole of every frame that holds one, and
            ``background`` that frame before the face is pasted; then the mask of changed pixels spans the frame
    """

    denoise: int = 0
    resample: float = 1.0
    color_steps: int = 0
    noise: float = 0.0
    to: DegradePlace = "face"
    color_rounding: Rounding | None = None
    color_offset: float | None = None

    def __post_init__(self) -> None:
        between("degrade.denoise", self.denoise, 0, 7)
        between("degrade.resample", self.resample, 1, 16)
        need(self.color_steps == 0 or 2 <= self.color_steps <= 256, "degrade.color_steps is 0 or 2 to 256", HINT)
        between("degrade.noise", self.noise, 0, 64)
        between("degrade.color_offset", self.color_offset or 0, -16, 16)

    @property
    def is_none(self) -> bool:
        """Whether nothing is degraded."""
        return not self.denoise and self.resample == 1 and self.color_steps in (0, 256) and not self.noise


@dataclass(frozen=True)
class RestoreConfig:
    """A second layer over the pasted face: a crop of the result itself, restored, and mixed with it.

    Convention:
        by: ``restorer`` for the package's own network (forge/models/restorer.py), or ``sharpen``, a stand-in that
            makes no texture
        amount: of ``sharpen``, see ``blend.sharpen``
        share: of the restored crop in the mixture
        square, mask: where it is cut and pasted
    """

    by: str = "sharpen"
    amount: float = 1.0
    share: float = 0.8
    square: SquareConfig = field(default_factory=lambda: SquareConfig(side=1.85, px=512))
    mask: MaskConfig = field(
        default_factory=lambda: MaskConfig("full", erode=0.0737, blur=0.0371, feather=0.0, keep_edge=True)
    )

    def __post_init__(self) -> None:
        need(self.by in RESTORERS, f"no restorer is named {self.by!r}", near_matches(self.by, list(RESTORERS)))
        whole = self.by != "restorer" or self.square.px % 4 == 0
        need(whole, f"restore.square.px is {self.square.px}", "the restorer needs a multiple of 4")
        between("restore.amount", self.amount, 0, 4)
        need(0 < self.share <= 1, "restore.share lies above 0, at most 1", HINT)
        known = self.mask.kind in ("full", "ellipse", "hull")
        need(known, "a restored crop has no learned mask", "restore.mask.kind is full, ellipse or hull")


RESTORERS: tuple[str, ...] = ("sharpen", "restorer")
"""Names of the restorers that :mod:`forge.swapping.restore` has."""


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
        between("temporal.color_seconds", self.color_seconds, 0, 5)
        between("temporal.cutoff_hz", self.cutoff_hz, 0.01, 100)
        between("temporal.beta", self.beta, 0, 1000)
        between("temporal.derivative_hz", self.derivative_hz, 0.01, 100)
        between("temporal.color_hz", self.color_hz, 0.01, 100)
        between("temporal.max_gap_frames", self.max_gap_frames, 0, 250)


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
        seed: of the random directions of the colour transfers ``idt`` and ``sot``, of the noise and of
            ``blend.clone_jitter``; nothing else is random
        paste: the preset (``NAME:VARIANT``) whose settings were put in by :func:`forge.swapping.pastes.with_paste`
        square, restore: see there; None for neither
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
    paste: str | None = None
    square: SquareConfig | None = None
    restore: RestoreConfig | None = None
    batch: int = 16
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        need(self.detect_every is None or self.detect_every >= 1, "detect_every must be 1 or more", HINT)
        need(self.min_face_px > 0, "min_face_px must be positive", HINT)
        numbers = all(part.isdecimal() for part in self.face.split(","))
        need(self.face in ("main", "all") or numbers, "face is main, all, or numbers from 0 such as 0,2", HINT)
        between("morph", self.morph, 0, 1)
        need(self.same_distance is None or 0 < self.same_distance <= 2, "same_distance lies between 0 and 2", HINT)
        between("batch", self.batch, 1, 1024)
        need(
            self.paste is None or self.square is not None,
            f"the settings of paste {self.paste!r} are not in these settings",
            "forge.swapping.pastes.with_paste puts them in",
        )
        in_frame = self.square is not None and self.square.rewrite and self.mask.space == "frame"
        need(not in_frame, "a square that is rewritten is mixed in itself", 'mask.space = "crop"')
        last = -1
        for start, stop in self.segments:
            need(last < start < stop, "segments are ranges of frames, ascending and apart", "such as [[0, 50]]")
            last = stop


def setting_factors(config: SwapConfig) -> dict[str, str]:
    """The settings as factors of a record: the main ones, every other that is not the default, all that a paste sets.

    Names are those of the settings file, ``blend.method`` for the method of ``[blend]``; paths of files are left out.
    """
    factors = {
        "face": config.face,
        "color": config.color.method,
        "mask": config.mask.kind,
        "blend": config.blend.method,
    }
    always = frozenset[str]()
    if config.paste is not None:
        factors["paste"], _colon, factors["paste_variant"] = config.paste.partition(":")
        always = drawn_names(config.paste)
    for group in ("color", "mask", "blend", "degrade", "temporal", "square", "restore"):
        for name, value, usual in _settings(getattr(config, group), group):
            if (value != usual or name in always) and name not in ("color.method", "mask.kind", "blend.method"):
                factors[name] = "python" if str(value).startswith(_PYTHON) else str(value)
    if config.morph != 1:
        factors["morph"] = str(config.morph)
    return factors


def _settings(group: Any, prefix: str) -> Iterator[tuple[str, Any, Any]]:
    """Dotted name, value and default of every setting of a group that exists."""
    for one in fields(group) if is_dataclass(group) else ():
        value = getattr(group, one.name)
        if is_dataclass(value):
            yield from _settings(value, f"{prefix}.{one.name}")
        else:
            yield f"{prefix}.{one.name}", value, one.default
