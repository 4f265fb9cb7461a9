"""The settings of one swap. Defaults live here and nowhere else; the command line reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.errors import ConfigError

ColorMethod = Literal["none", "average", "mean-std", "reinhard", "lct", "mkl", "histogram", "idt", "sot"]
MaskChoice = Literal["auto", "learned", "hull", "product", "full"]
BlendMethod = Literal["alpha", "poisson"]
HullKind = Literal["extended", "components", "facehull", "dfl"]


@dataclass(frozen=True)
class SwapConfig:
    """How a face is found, made, coloured, pasted and written.

    Convention:
        erode, feather, border: fractions of the crop's side, so that they mean the same at 64 and at 512 pixels
        detect_every: a full detection on every n-th frame, following in between; None for what suits the device
        seed: of the directions that the colour transfers ``idt`` and ``sot`` draw; nothing else is left to chance
        face: ``main`` (the track with most area), ``all``, or a number: 0 is the main track, 1 the next in area
        color_seconds: how long colours are averaged over (sigma), so that brightness does not flicker
        sharpen: how much of what a blur of one crop pixel takes away is added again (unsharp masking); 0 for none
        mask: ``auto`` is ``product`` (learned and hull) for a swapper with a mask, ``hull`` for one without
    """

    finder: str = "auto"
    detect_every: int | None = None
    min_face_px: float = 40.0
    face: str = "main"
    color: ColorMethod = "mean-std"
    color_seconds: float = 0.12
    smooth: bool = True
    sharpen: float = 0.0
    mask: MaskChoice = "auto"
    hull: HullKind = "extended"
    erode: float = 0.0
    feather: float = 0.025
    border: float = 0.08
    blend: BlendMethod = "alpha"
    batch: int = 16
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    crf: int = 18
    preset: str = "medium"
    seed: int = 0

    def __post_init__(self) -> None:
        _need(self.detect_every is None or self.detect_every >= 1, "detect_every must be 1 or more")
        _need(self.min_face_px > 0, "min_face_px must be positive")
        _need(self.face in ("main", "all") or self.face.isdecimal(), "face is main, all or a number from 0")
        _need(0 <= self.color_seconds <= 5, "color_seconds must be between 0 and 5")
        _need(0 <= self.sharpen <= 4, "sharpen must be between 0 and 4")
        _need(-0.25 <= self.erode <= 0.25, "erode must be between -0.25 and 0.25 of the crop")
        _need(0 <= self.feather <= 0.25, "feather must be between 0 and 0.25 of the crop")
        _need(0 < self.border <= 0.25, "border must be above 0 and at most 0.25 of the crop")
        _need(1 <= self.batch <= 1024, "batch must be between 1 and 1024")
        _need(0 <= self.crf <= 51, "crf must be between 0 and 51")


def _need(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigError(message, hint="see assay forge swap --help")
