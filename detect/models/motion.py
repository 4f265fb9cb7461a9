"""A detector of how a face moves: landmarks over a second of film, and no pixels.

Lips that are driven by another performance, by sound or by a decoder move otherwise than a speaker's own: smoother or
more jerkily, and apart from the jaw. Displacement, velocity, acceleration and jerk of 64 points of the lips in windows
of 25 frames are what BioLip reads (arXiv 2604.16808, December 2026: 107,777 parameters, no pixels). Here they are those
of lips, eyes and jaw among the usual 68 points, read by convolutions over time.

Convention:
    landmarks: (..., 68, 2) in any frame of reference with y downwards; only what a similarity does not change is read
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detect.models.backbone import start_undecided
from detect.models.contract import Detection, DetectorOptions, DetectorSpec, TrackDetector
from detect.models.registry import detectors
from shared.errors import ConfigError, UnknownNameError
from shared.faces.align import MEAN_FACE

NAME = "motion"
FRAMES = 25
"""Faces in a window: one second of film at the usual 25 frames a second."""

LIPS, EYES, JAW = tuple(range(48, 68)), tuple(range(36, 48)), tuple(range(4, 13))
READ = (*JAW, *EYES, *LIPS)
"""The landmarks whose motion is read."""

STEADY = (*range(27, 36), 36, 39, 42, 45)
"""Nose and corners of the eyes: what the head is aligned by, since speech hardly moves it."""

_DEFAULT_PX, _PX_RANGE = 128, (32, 1024)
_ORDERS = 4
_WIDTH = 64
_DILATIONS = (1, 2, 4)
_TAPS = 5
_GROUPS = 8
_TYPICAL = (0.03, 0.006, 0.006, 0.01)
"""Usual size of displacement, velocity, acceleration and jerk, in distances between the eyes and frames."""

_LEAST_POWER = 1e-12


@detectors.register("motion")
class MotionDetector(TrackDetector):
    """Convolutions over time on displacement, velocity, acceleration and jerk of landmarks; 91,000 parameters.

    ``input_px`` is the size of the crops that are kept beside the landmarks, for people to look at. Options for
    ImageNet weights and stochastic depth have no effect.

    Raises:
        UnknownNameError: the family has no such model.
        ConfigError: an unsupported size of crops.
    """

    steady: Tensor

    def __init__(self, options: DetectorOptions) -> None:
        super().__init__()
        if options.name != NAME:
            raise UnknownNameError(f"motion has no model {options.name!r}", hint=f"--model {NAME}")
        px = options.input_px or _DEFAULT_PX
        if not _PX_RANGE[0] <= px <= _PX_RANGE[1]:
            raise ConfigError(f"input_px must lie between {_PX_RANGE[0]} and {_PX_RANGE[1]}, got {px}", hint="128")
        self.spec = DetectorSpec(
            NAME, px, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), options.framing, level="clip", frames_per_clip=FRAMES,
            family=NAME, reads="landmarks",
        )  # fmt: skip
        mean = torch.from_numpy(MEAN_FACE[list(STEADY)]).float()
        self.register_buffer("steady", mean, persistent=False)
        self.enter = nn.Conv1d(2 * _ORDERS * len(READ), _WIDTH, 1)
        self.blocks = nn.Sequential(*(_Block(dilation) for dilation in _DILATIONS))
        self.drop = nn.Dropout(options.drop_rate)
        self.hidden = nn.Linear(2 * _WIDTH, _WIDTH)
        self.head = nn.Linear(_WIDTH, 1)
        start_undecided(self.head)

    def embed_frames(self, x: Tensor) -> Tensor:
        """(N, 68, 2) landmarks -> (N, 82): those that are read, aligned, in distances between the eyes."""
        return aligned(x, self.steady)[:, list(READ)].flatten(1)

    def score_sequences(self, embeddings: Tensor) -> Tensor:
        """(B, T, 82) of one face in order of time -> (B,) logits."""
        maps = self.blocks(self.enter(kinematics(embeddings).transpose(1, 2)))
        pooled = torch.cat([maps.mean(2), maps.amax(2)], 1)
        return self.head(self.drop(self.hidden(self.drop(pooled)).relu())).squeeze(1)

    def forward(self, x: Tensor) -> Detection:
        """(B, T, 68, 2) landmarks of faces in order of time -> logits (B,), no mask.

        Single faces (B, 68, 2) are scored as sequences of T equal ones, which do not move.
        """
        if x.ndim == 3:
            x = x.unsqueeze(1).expand(-1, self.spec.frames_per_clip, -1, -1)
        return Detection(self.score_sequences(self.embed_frames(x.flatten(0, 1)).unflatten(0, x.shape[:2])), None)

    def get_classifier(self) -> nn.Module:
        """The last layer; the method's name is that of timm's models."""
        return self.head


class _Block(nn.Module):
    """A residual convolution over time."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        padding = dilation * (_TAPS - 1) // 2
        self.conv = nn.Conv1d(_WIDTH, _WIDTH, _TAPS, padding=padding, dilation=dilation)
        self.norm = nn.GroupNorm(_GROUPS, _WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T)."""
        return x + self.norm(self.conv(x)).relu()


def aligned(landmarks: Tensor, steady: Tensor) -> Tensor:
    """(N, 68, 2): each face turned, scaled and shifted so that its :data:`STEADY` points lie nearest to ``steady``.

    Least squares over similarities (Umeyama 1991). The unit is the distance between the outer corners of the eyes.
    Faces whose points coincide become zeros.
    """
    x = landmarks.float()
    own = x[:, list(STEADY)]
    middle = own.mean(1, keepdim=True)
    s, t = own - middle, steady - steady.mean(0)
    power = s.square().sum((1, 2))
    power = torch.where(power < _LEAST_POWER, torch.inf, power)
    a = (s * t).sum((1, 2)) / power
    b = (s[..., 0] * t[:, 1] - s[..., 1] * t[:, 0]).sum(1) / power
    turn = torch.stack([torch.stack([a, b], 1), torch.stack([-b, a], 1)], 1)
    width = MEAN_FACE[45, 0] - MEAN_FACE[36, 0]
    return (x - middle) @ turn / width


def kinematics(points: Tensor) -> Tensor:
    """(B, T, 4 K) from (B, T, K): displacement from the window's mean, and its first three differences in time.

    A difference stands at the last of its frames; frames before have zeros. Large values are compressed, x to
    sign(x) log(1 + |x|), in units of what is usual.
    """
    moved = points - points.mean(1, keepdim=True)
    orders, step = [moved], moved
    for _ in range(1, _ORDERS):
        step = torch.diff(step, dim=1)
        orders.append(nn.functional.pad(step, (0, 0, points.shape[1] - step.shape[1], 0)))
    scaled = [order / usual for order, usual in zip(orders, _TYPICAL, strict=True)]
    whole = torch.cat(scaled, 2)
    return whole.sign() * whole.abs().log1p()
