"""Latent discriminator: trains the encoder to give latents that do not reveal the identity."""

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
    """Classifies the identity from a latent; the swapper is trained to make that impossible.

    DeepFaceLab's ``true_face_power`` (a discriminator of latents that pulls the source's towards the target's), made
    symmetric and for any number of identities as in Tzeng et al., "Simultaneous deep transfer across domains and
    tasks", ICCV 2015: the discriminator minimises cross-entropy to the identity, the swapper cross-entropy to the
    uniform distribution. Only for families with one latent for all identities; trained only on this run's latents.
    """

    def __init__(self, latent: Sequence[int], identities: Sequence[str]) -> None:
        """Builds the discriminator for latents of shape ``latent`` (without the batch): (D,) or (C, H, W).

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
                f"latents of shape {tuple(latent)} cannot be classified", hint="set loss.true_face to 0 for this family"
            )
        inner = _WIDTH if len(latent) == 1 else 4 * _WIDTH
        head = [nn.Linear(inner, _WIDTH), nn.LeakyReLU(_SLOPE), nn.Linear(_WIDTH, len(self.identities))]
        self.net = nn.Sequential(*body, *head)

    def generator_loss(self, latents: Mapping[str, Tensor]) -> Tensor:
        """Mean cross-entropy to the uniform distribution, minus its minimum: 0 if latents do not reveal the identity.

        Gradients reach only the swapper. ``latents`` are (B, ...) by identity.
        """
        still = {name: value.detach() for name, value in self.net.state_dict(keep_vars=True).items()}
        guesses = functional_call(self.net, still, (torch.cat(list(latents.values())).float(),))
        logs = F.log_softmax(guesses.float(), 1)
        return -logs.mean() - torch.log(logs.new_tensor(float(len(self.identities))))

    def discriminator_loss(self, latents: Mapping[str, Tensor]) -> Tensor:
        """Mean cross-entropy to the true identity. Gradients reach only the discriminator."""
        inputs = torch.cat([latent.detach() for latent in latents.values()]).float()
        numbers = [self.identities.index(name) for name, latent in latents.items() for _ in range(len(latent))]
        # Built on the CPU and copied asynchronously: labels are known before the latents.
        labels = torch.tensor(numbers).to(inputs.device, non_blocking=True)
        return F.cross_entropy(self.net(inputs).float(), labels)
