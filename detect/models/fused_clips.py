"""Detectors of unlike inputs as one: the log likelihood ratio of a clip under several kinds of fake.

A face's crop, its landmarks over a second of film and the spectrum of a still cannot be scored together, but what each
says of a clip can be weighed. One sum of weights is not enough: a detector of motion alone finds lip-sync, and one of
blending edges then says "real" with conviction. So every kind of fake that was learned from has a linear fusion of its
own (Brümmer and du Preez, "Application-independent evaluation of speaker detection", Computer Speech & Language 2006),
and a fake is one of these kinds, each as likely as the others: the likelihood of a mixture is the mean of likelihoods.
The weights are fitted by ``detect.training.fuse_clips``.

Convention:
    score of a member: its clip logit minus its centre, over its scale; 0 if it scored nothing of the clip
    ratio of a kind: its bias plus its weights times the scores, a natural log likelihood ratio of that kind and real
    fused clip logit: the logarithm of the mean over kinds of the exponentials of their ratios
    part of a member: the fused clip logit minus what it would be had this member scored nothing
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import cast, get_args

import numpy as np
import torch
from scipy.special import logsumexp
from torch import Tensor, nn

from detect.models.backbone import backbone_of
from detect.models.contract import Detection, Detector, DetectorOptions, DetectorSpec
from detect.models.registry import detectors
from shared.errors import ConfigError
from shared.types import Framing

FAMILY = "fused-clips"
_FUSED = (FAMILY, "fused")
_MOST = 8
MOST_KINDS = 16


@dataclasses.dataclass(frozen=True)
class ClipWeights:
    """A fit of K members to J kinds of fake.

    Attributes:
        centres, scales: K each, of the members' clip logits.
        weights: J rows of K, none below 0; ``biases``: J.
    """

    centres: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    biases: tuple[float, ...]

    def fused(self, logits: np.ndarray) -> np.ndarray:
        """(N,) fused clip logits of (N, K) clip logits of the members, NaN where one scored nothing."""
        scores = np.nan_to_num((logits - np.array(self.centres)) / np.array(self.scales), nan=0.0)
        ratios = scores @ np.array(self.weights).T + np.array(self.biases)
        return logsumexp(ratios, axis=1) - math.log(len(self.biases))

    def parts(self, logits: Sequence[float | None]) -> tuple[float, ...]:
        """The part of each member, from its clip logit; 0 where that is None."""
        row = np.array([np.nan if logit is None else logit for logit in logits], np.float64)
        without = np.where(np.eye(len(row), dtype=bool), np.nan, row)
        return tuple((self.fused(row[None]) - self.fused(without)).tolist())


@detectors.register(FAMILY)
class ClipFusedDetector(Detector):
    """Detectors of any input, fused clip by clip: FAMILY/MODEL@PX-FRAMING+FAMILY/MODEL@PX-FRAMING.

    The first, the *lead*, scores single faces: crops, frames, logits of faces and regions are its own. MODEL alone is
    of the family "frame", with the options of the whole.

    Attributes:
        members: the detectors, the lead first.
        centres, scales: (K,); ``weights``: (MOST_KINDS, K); ``biases``: (MOST_KINDS,), minus infinity where there is
            no kind.
    """

    centres: Tensor
    scales: Tensor
    weights: Tensor
    biases: Tensor

    def __init__(self, options: DetectorOptions) -> None:
        super().__init__()
        names = options.name.split("+")
        if len(names) > _MOST:
            raise ConfigError(f"at most {_MOST} detectors are fused, got {len(names)}", hint="leave some out")
        built = [_member(name, options) for name in names]
        need_lead([member.spec for member in built])
        self.members = nn.ModuleList(built)
        self.register_buffer("centres", torch.zeros(len(built)))
        self.register_buffer("scales", torch.ones(len(built)))
        self.register_buffer("weights", torch.ones(MOST_KINDS, len(built)))
        self.register_buffer("biases", torch.full((MOST_KINDS,), -torch.inf).index_fill(0, torch.tensor(0), 0.0))
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
        kinds = len(fit.biases)
        fused.centres.copy_(torch.tensor(fit.centres))
        fused.scales.copy_(torch.tensor(fit.scales))
        fused.weights.zero_()[:kinds] = torch.tensor(fit.weights)
        fused.biases.fill_(-torch.inf)[:kinds] = torch.tensor(fit.biases)
        fused.initial_weights = "; ".join(dict.fromkeys(member.initial_weights for member in members))
        return fused

    @property
    def fit(self) -> ClipWeights:
        """What was fitted, as plain numbers."""
        kinds = int(torch.isfinite(self.biases).sum())
        return ClipWeights(
            tuple(self.centres.tolist()),
            tuple(self.scales.tolist()),
            tuple(map(tuple, self.weights[:kinds].tolist())),
            tuple(self.biases[:kinds].tolist()),
        )

    @property
    def net(self) -> nn.Module:
        """The lead's backbone, for heat maps."""
        return backbone_of(self.members[0])

    def forward(self, x: Tensor) -> Detection:
        """(B, 3, S, S) normalised for the lead -> its logits (B,) and, if it has one, its region."""
        return self.members[0](x)


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
