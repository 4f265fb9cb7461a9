"""Several detectors as one: a weighted sum of their logits.

Unlike detectors err on different faces, so that their sum is better than each (Kittler et al., "On combining
classifiers", PAMI 1998). They are stored together in one folder, and are used like one. The weights are fitted by
``detect.training.fuse``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detect.models.backbone import backbone_of
from detect.models.contract import Detection, Detector, DetectorOptions, DetectorSpec
from detect.models.registry import detectors
from shared.errors import ConfigError

_MOST = 8
_FAMILY = "fused"
_ZERO, _ONE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


@detectors.register(_FAMILY)
class FusedDetector(Detector):
    """Several detectors of other families, their logits summed by weights: FAMILY/MODEL+FAMILY/MODEL.

    Its input is RGB in [0, 1], which is normalised for each member; its region is the mean of those of its members. A
    new one has equal weights; MODEL alone is of the family "frame".

    Attributes:
        members: the detectors.
        weights: (K,) of their logits; ``bias``: added to the sum.
        means: (K, 3), subtracted from the members' input, which is then divided by ``stds`` (K, 3).
    """

    weights: Tensor
    bias: Tensor
    means: Tensor
    stds: Tensor

    def __init__(self, options: DetectorOptions) -> None:
        super().__init__()
        names = [_family_and_model(part) for part in options.name.split("+")]
        if len(names) > _MOST:
            raise ConfigError(f"at most {_MOST} detectors are fused, got {len(names)}")
        built = [detectors.get(family)(dataclasses.replace(options, name=model)) for family, model in names]
        specs = [member.spec for member in built]
        need_alike(specs)
        self.members = nn.ModuleList(built)
        self.register_buffer("weights", torch.full((len(built),), 1 / len(built)))
        self.register_buffer("bias", torch.zeros(()))
        self.register_buffer("means", torch.tensor([spec.mean for spec in specs]))
        self.register_buffer("stds", torch.tensor([spec.std for spec in specs]))
        self.initial_weights = "; ".join(dict.fromkeys(member.initial_weights for member in built))
        self.spec = dataclasses.replace(
            specs[0],
            name=options.name,
            mean=_ZERO,
            std=_ONE,
            family=_FAMILY,
            has_mask=any(spec.has_mask for spec in specs),
        )

    @classmethod
    def of(cls, members: Sequence[Detector], weights: Sequence[float], bias: float) -> FusedDetector:
        """Copies of ``members``, fused by ``weights`` and ``bias``.

        Raises:
            ConfigError: too many, or of another input than the first, of level "clip" or fused themselves.
        """
        specs = [member.spec for member in members]
        need_alike(specs)
        name = "+".join(f"{spec.family}/{spec.name}" for spec in specs)
        fused = cls(DetectorOptions(name, specs[0].input_px, specs[0].framing))
        for own, member in zip(fused.members, members, strict=True):
            assert isinstance(own, Detector)
            own.load_exported_state(member.exported_state())
        fused.weights.copy_(torch.tensor(weights))
        fused.bias.fill_(bias)
        fused.means.copy_(torch.tensor([spec.mean for spec in specs]))
        fused.stds.copy_(torch.tensor([spec.std for spec in specs]))
        fused.initial_weights = "; ".join(dict.fromkeys(member.initial_weights for member in members))
        return fused

    @property
    def net(self) -> nn.Module:
        """The backbone of the member with the largest weight, for heat maps."""
        return backbone_of(self.members[int(self.weights.argmax())])

    def forward(self, x: Tensor) -> Detection:
        """(B, 3, S, S) in [0, 1] -> logits (B,) and, if a member has one, region logits (B, 1, h, w)."""
        total = self.bias
        masks: list[Tensor] = []
        for place, member in enumerate(self.members):
            mean, std = self.means[place].view(1, 3, 1, 1), self.stds[place].view(1, 3, 1, 1)
            found: Detection = member((x - mean) / std)
            total = total + self.weights[place] * found.logit.float()
            if found.mask is not None:
                masks.append(found.mask)
        return Detection(total, _mean_of(masks))


def need_alike(specs: Sequence[DetectorSpec]) -> None:
    """Checks that detectors of ``specs`` can score the same crops, one face at a time.

    Raises:
        ConfigError: they cannot, or one is fused itself.
    """
    for spec in specs:
        if spec.level != "frame":
            raise ConfigError(f"{spec.name} scores sequences", hint="fuse whole clips: --clips")
        if spec.family == _FAMILY:
            raise ConfigError(f"{spec.name} is fused already", hint="name its members")
    inputs = {(spec.input_px, spec.framing) for spec in specs}
    if len(inputs) > 1:
        listed = ", ".join(f"{px} px {framing}" for px, framing in sorted(inputs))
        raise ConfigError(
            f"these detectors take different crops: {listed}",
            hint="fuse whole clips with --clips, or train them with one --input-px and one --framing",
        )


def _family_and_model(part: str) -> tuple[str, str]:
    family, slash, model = part.partition("/")
    if family == _FAMILY:
        raise ConfigError("a fused detector cannot be a member", hint="name its members")
    return (family, model) if slash else ("frame", family)


def _mean_of(masks: Sequence[Tensor]) -> Tensor | None:
    """The mean of region logits, at the size of the first; None for none."""
    if not masks:
        return None
    size = masks[0].shape[-2:]
    same = [
        m if m.shape[-2:] == size else F.interpolate(m, size=size, mode="bilinear", align_corners=False) for m in masks
    ]
    return torch.stack(same).mean(0)
