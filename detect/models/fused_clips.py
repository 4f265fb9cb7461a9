"""Detectors of unlike inputs as one: a weighted sum of log likelihood ratios of whole clips.

A face's crop, its landmarks over a second of film and the spectrum of a still cannot be scored together, but what each
says of a clip can be added up: calibration of each system, then linear fusion (Brümmer and du Preez,
"Application-independent evaluation of speaker detection", Computer Speech & Language 2006). The weights are fitted by
``detect.training.fuse_clips``.

Convention:
    ratio of a member: slope times its clip logit plus offset, a natural log likelihood ratio
    part of a member: weight times ratio; 0 if it scored nothing of the clip
    fused clip logit: the bias plus all parts
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import cast, get_args

import torch
from torch import Tensor, nn

from detect.models.backbone import backbone_of
from detect.models.contract import Detection, Detector, DetectorOptions, DetectorSpec
from detect.models.registry import detectors
from shared.errors import ConfigError
from shared.types import Framing

FAMILY = "fused-clips"
_FUSED = (FAMILY, "fused")
_MOST = 8


@dataclasses.dataclass(frozen=True)
class ClipWeights:
    """A fit: ``slopes``, ``offsets`` and ``weights``, one a member, none of slopes and weights below 0; ``bias``."""

    slopes: tuple[float, ...]
    offsets: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float

    def parts(self, logits: Sequence[float | None]) -> tuple[float, ...]:
        """The part of each member, from its clip logit; 0 where that is None."""
        rows = zip(self.slopes, self.offsets, self.weights, logits, strict=True)
        return tuple(0.0 if x is None else weight * (slope * x + offset) for slope, offset, weight, x in rows)


@detectors.register(FAMILY)
class ClipFusedDetector(Detector):
    """Detectors of any input, fused clip by clip: FAMILY/MODEL@PX-FRAMING+FAMILY/MODEL@PX-FRAMING.

    The first, the *lead*, scores single faces: crops, frames and regions are its own, and a face's logit is what the
    lead's part would be, plus the bias, as if no other member had scored anything. MODEL alone is of the family
    "frame", with the options of the whole.

    Attributes:
        members: the detectors, the lead first.
        slopes, offsets, weights: (K,) and ``bias``: see above.
    """

    slopes: Tensor
    offsets: Tensor
    weights: Tensor
    bias: Tensor

    def __init__(self, options: DetectorOptions) -> None:
        super().__init__()
        names = options.name.split("+")
        if len(names) > _MOST:
            raise ConfigError(f"at most {_MOST} detectors are fused, got {len(names)}", hint="leave some out")
        built = [_member(name, options) for name in names]
        need_lead([member.spec for member in built])
        self.members = nn.ModuleList(built)
        for name in ("slopes", "weights"):
            self.register_buffer(name, torch.ones(len(built)))
        self.register_buffer("offsets", torch.zeros(len(built)))
        self.register_buffer("bias", torch.zeros(()))
        self.initial_weights = "; ".join(dict.fromkeys(member.initial_weights for member in built))
        self.spec = dataclasses.replace(built[0].spec, name=options.name, family=FAMILY)

    @classmethod
    def of(cls, members: Sequence[Detector], fit: ClipWeights) -> ClipFusedDetector:
        """Copies of ``members``, fused by ``fit``.

        Raises:
            ConfigError: too many, one fused itself, or the first scores no single faces.
        """
        lead = members[0].spec
        name = "+".join(_name_of(member.spec) for member in members)
        fused = cls(DetectorOptions(name, lead.input_px, lead.framing))
        for own, member in zip(fused.members, members, strict=True):
            assert isinstance(own, Detector)
            own.load_exported_state(member.exported_state())
            own.spec = member.spec
        fused.spec = dataclasses.replace(lead, name=name, family=FAMILY)
        for buffer, values in ((fused.slopes, fit.slopes), (fused.offsets, fit.offsets), (fused.weights, fit.weights)):
            buffer.copy_(torch.tensor(values))
        fused.bias.fill_(fit.bias)
        fused.initial_weights = "; ".join(dict.fromkeys(member.initial_weights for member in members))
        return fused

    @property
    def fit(self) -> ClipWeights:
        """What was fitted, as plain numbers."""
        slopes, offsets, weights = (tuple(map(float, values)) for values in (self.slopes, self.offsets, self.weights))
        return ClipWeights(slopes, offsets, weights, float(self.bias))

    @property
    def net(self) -> nn.Module:
        """The lead's backbone, for heat maps."""
        return backbone_of(self.members[0])

    def forward(self, x: Tensor) -> Detection:
        """(B, 3, S, S) normalised for the lead -> logits (B,) and, if the lead has one, its region."""
        found: Detection = self.members[0](x)
        ratio = self.slopes[0] * found.logit.float() + self.offsets[0]
        return Detection(self.bias + self.weights[0] * ratio, found.mask)


def need_lead(specs: Sequence[DetectorSpec]) -> None:
    """Checks that the first of detectors of ``specs`` can be the lead, and that none is fused itself.

    Raises:
        ConfigError: it cannot, or one is.
    """
    lead = specs[0]
    if lead.level != "frame" or lead.reads != "pixels":
        raise ConfigError(
            f"{lead.name} scores no single faces, so it cannot come first", hint="name a detector of faces first"
        )
    for spec in specs:
        if spec.family in _FUSED:
            raise ConfigError(f"{spec.name} is fused already", hint="name its members")


def _name_of(spec: DetectorSpec) -> str:
    return f"{spec.family}/{spec.name}@{spec.input_px}-{spec.framing}"


def _member(part: str, options: DetectorOptions) -> Detector:
    """The member that ``part`` names.

    Raises:
        ConfigError: a fused one, or no size that can be read.
        UnknownNameError: no such family or model.
    """
    named, at, size = part.partition("@")
    family, slash, model = named.partition("/")
    if family in _FUSED:
        raise ConfigError("a fused detector cannot be a member", hint="name its members")
    if at:
        px, _, framing = size.partition("-")
        if not px.isdecimal() or len(px) > 5 or framing not in get_args(Framing):
            raise ConfigError(f"{part!r} names no size and framing", hint="FAMILY/MODEL@PX-FRAMING")
        options = dataclasses.replace(options, input_px=int(px), framing=cast(Framing, framing))
    name = model if slash else named
    return detectors.get(family if slash else "frame")(dataclasses.replace(options, name=name))
