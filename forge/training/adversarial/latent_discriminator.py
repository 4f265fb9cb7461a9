"""The adversary of codes: makes the latents of different people look alike, so that they say nothing of who it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from shared.errors import UsageError

_WIDTH = 256
_SLOPE = 0.2


class LatentDiscriminator(nn.Module):
    """Guesses from a code whose face it was, while the swapper learns codes that do not tell.

    DeepFaceLab's ``true_face_power`` (a critic of codes that pulls the source's towards the target's), made symmetric
    and for any number of people as in Tzeng et al., "Simultaneous deep transfer across domains and tasks", ICCV 2015:
    the critic learns cross-entropy to the person, the swapper cross-entropy to not knowing. Only for families whose
    latent is the same for all; it learns from this training's codes and nothing else.
    """

    def __init__(self, latent: Sequence[int], identities: Sequence[str]) -> None:
        """Builds the critic for latents of shape ``latent`` (without the batch): (D,) or (C, H, W).

        Raises:
            UsageError: a latent of another shape.
        """
        super().__init__()
        self.identities = tuple(identities)
        if len(latent) == 1:
            body: list[nn.Module] = [nn.Linear(latent[0], _WIDTH), nn.LeakyReLU(_SLOPE)]
        elif len(latent) == 3:
            pool = nn.AdaptiveAvgPool2d(2)
            body = [nn.Conv2d(latent[0], _WIDTH, 3, padding=1), nn.LeakyReLU(_SLOPE), pool, nn.Flatten()]
        else:
            raise UsageError(
                f"codes of shape {tuple(latent)} cannot be judged", hint="set loss.true_face to 0 for this family"
            )
        inner = _WIDTH if len(latent) == 1 else 4 * _WIDTH
        head = [nn.Linear(inner, _WIDTH), nn.LeakyReLU(_SLOPE), nn.Linear(_WIDTH, len(self.identities))]
        self.net = nn.Sequential(*body, *head)

    def generator_loss(self, latents: Mapping[str, Tensor]) -> Tensor:
        """Mean cross-entropy of the guess to "any of them alike", less its least value: 0 when codes do not tell.

        Gradients reach the swapper alone. ``latents`` are (B, ...) by identity.
        """
        still = {name: value.detach() for name, value in self.net.state_dict(keep_vars=True).items()}
        guesses = functional_call(self.net, still, (torch.cat(list(latents.values())).float(),))
        logs = F.log_softmax(guesses.float(), 1)
        return -logs.mean() - torch.log(logs.new_tensor(float(len(self.identities))))

    def critic_loss(self, latents: Mapping[str, Tensor]) -> Tensor:
        """Mean cross-entropy of the guess to who it was. Gradients reach the critic alone."""
        codes = torch.cat([latent.detach() for latent in latents.values()]).float()
        numbers = [self.identities.index(name) for name, latent in latents.items() for _ in range(len(latent))]
        # Built on the CPU and copied without waiting: labels are known before the codes are.
        labels = torch.tensor(numbers).to(codes.device, non_blocking=True)
        return F.cross_entropy(self.net(codes).float(), labels)
