"""Settings of the loss of swapper training. Imports no torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from shared.config import need


@dataclass(frozen=True)
class AdversarialConfig:
    """Settings of adversarial training, see :mod:`forge.training.adversarial`.

    Attributes:
        kind: none; lsgan (least squares, Mao et al. 2017); relativistic (relativistic average least squares,
            Jolicoeur-Martineau 2019); hinge (Lim and Ye 2017); bce (Goodfellow et al. 2014, DeepFaceLab's choice).
        net: patch (one logit per patch, Isola et al. 2017, with the warped input as condition, as in faceswap-GAN);
            unet (logits per patch and per pixel, Schönfeld et al. 2020, DeepFaceLab's choice).
        weight: of the swapper's adversarial loss; 0 pauses the adversary. A recipe starts it by raising this.
        mixup: lsgan's discriminator estimates the real share of mixtures of real and generated (Zhang et al. 2018).
        patch: side of the unet's patch in pixels; 0 is an eighth of the image.
        channels: of the first convolution; 0 is the network's default (64 patch, 16 unet).
        rate_factor: the discriminator's learning rate over the swapper's.
    """

    kind: Literal["none", "lsgan", "relativistic", "hinge", "bce"] = "none"
    net: Literal["patch", "unet"] = "patch"
    weight: float = 0.1
    mixup: bool = True
    patch: int = 0
    channels: int = 0
    rate_factor: float = 2.0

    def __post_init__(self) -> None:
        need(0 <= self.weight <= 100, f"adversarial weight {self.weight} is outside 0 to 100", "0.1 is usual")
        need(0 <= self.patch <= 512, f"adversarial patch {self.patch} is outside 0 to 512", "0 is an eighth")
        need(0 <= self.channels <= 256, f"adversarial channels {self.channels} is outside 0 to 256", "16 to 64")
        need(0 < self.rate_factor <= 10, f"rate_factor {self.rate_factor} is outside 0 to 10", "1 or 2 is usual")

    @property
    def active(self) -> bool:
        """Whether there is an adversary with a positive weight."""
        return self.kind != "none" and self.weight > 0


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms of the loss; terms of weight 0 are not computed.

    Attributes:
        mae, mse, log_cosh: weight of the mean absolute, squared and log-cosh difference; for colour and brightness.
        dssim: weight of (1 - SSIM) / 2; for structure and sharpness.
        dssim_window: gaussian11 (11x11, sigma 1.5, borders reflected, faceswap's) or dfl (DeepFaceLab's: sigma 1.5
            too, side output_px / 11.6, and at 256 px and more also / 23.2, without borders).
        ms_ssim: weight of 1 - multi-scale SSIM.
        gmsd: weight of the gradient magnitude similarity deviation; gms: of 1 - its mean, faceswap's loss of that name.
        edge: weight of the absolute difference of first differences along both axes (faceswap-GAN's edge loss).
        laplacian: weight of the difference of Laplacian pyramids, band by band.
        focal_frequency: weight of the difference of spectra, larger differences weighted more.
        perceptual: weight of the difference of a frozen network's features; perceptual_net: the network, any timm
            backbone by name, or lpips-vgg.
        identity: weight of 1 - cosine of identity embeddings (dlib's; do not measure identity with dlib then).
        total_variation: weight of the mean absolute difference of neighbouring pixels of the output.
        detail: weight of the difference in the strength of fine detail; prevents soft faces.
        grid: weight of a pattern that repeats every 4 pixels and that the target does not have; a decoder offers it for
            texture, most of all with a high ``detail``.
        mask: weight of the learned mask's squared error; mask_size: of its mean, which keeps an alpha small;
            mask_variation: of its total variation.
        smaller: weight of the coarser outputs of models that have them.
        face_style, background_style: DeepFaceLab's style powers, of faces decoded by another identity's decoder:
            colours inside the face, and its surroundings, should be as in the input image.
        true_face: weight of the latent discriminator's loss (DeepFaceLab's true_face_power).
        eyes, mouth: additional weight of pixels there.
        mean: what a term that compares pixels is a mean over. face: over the weights of the pixels, so that it does not
            depend on the size of the face. picture: over all pixels, so that a face on a third of them counts a third;
            DeepFaceLab's, in which the mask and eyes_mouth, always means over the picture, weigh more beside it.
        eyes_mouth: weight of the absolute difference inside eyes and mouth, as a mean over the whole image, so that
            DeepFaceLab's priority of 300 is 300.
        background: weight of pixels outside the face; small, so that the mask's border is learned well.
        background_power: weight of DSSIM plus squared error over all pixels equally, eyes, cheeks and background.
        adversarial: see :class:`AdversarialConfig`.
    """

    dssim: float = 1.0
    dssim_window: Literal["gaussian11", "dfl"] = "gaussian11"
    mae: float = 1.0
    mse: float = 0.0
    log_cosh: float = 0.0
    ms_ssim: float = 0.0
    gmsd: float = 0.0
    gms: float = 0.0
    edge: float = 0.0
    laplacian: float = 0.0
    focal_frequency: float = 0.0
    perceptual: float = 0.0
    perceptual_net: str = "tf_efficientnet_lite0"
    identity: float = 0.0
    total_variation: float = 0.0
    detail: float = 1.0
    grid: float = 0.0
    mask: float = 0.5
    mask_size: float = 0.0
    mask_variation: float = 0.0
    smaller: float = 1.0
    face_style: float = 0.0
    background_style: float = 0.0
    true_face: float = 0.0
    eyes: float = 3.0
    mouth: float = 2.0
    eyes_mouth: float = 0.0
    background: float = 0.1
    background_power: float = 0.0
    mean: Literal["face", "picture"] = "face"
    adversarial: AdversarialConfig = AdversarialConfig()

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float):
                need(
                    0 <= value <= 10_000,
                    f"the loss weight {field.name} {value} is outside 0 to 10000",
                    "usual values are 0.1 to 10",
                )
        need(
            any(getattr(self, name) > 0 for name in RECONSTRUCTION),
            "no reconstruction term has a weight",
            f"give one of {', '.join(RECONSTRUCTION)} a weight",
        )


RECONSTRUCTION = ("dssim", "mae", "mse", "log_cosh", "ms_ssim", "perceptual")
"""Reconstruction terms, of which at least one must have a weight."""

ON_MASK = ("mask_size", "mask_variation")
"""Terms that need a learned mask; ``mask`` is on by default and ignored without one."""

CROSSED = ("face_style", "background_style")
"""Terms of faces decoded by another identity's decoder, see ``Objective.crossed``."""
