"""Settings of the training of a lip-sync model. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from shared.config import need

KIND = "lip-sync model"
"""Kind of its runs."""

WHILE_RUNNING = ("steps", "device", "log_every", "save_every")
"""Settings that may differ when a run is resumed."""


@dataclass(frozen=True)
class LipsyncConfig:
    """Settings of a training.

    Attributes:
        width, layers: of the network.
        steps: how long.
        clips_share: share of clips in a batch; the others are of phones.
        batch: stretches of sound in a step. stretch: their length in steps of 20 ms.
        learning_rate: highest; falls by a cosine to a tenth.
        velocity: weight of the error of the change over 40 ms beside that of the parameters.
        tract, tempo: largest factors by which vocal tract and tempo are changed.
        noise: largest level of added noise, in nepers of power over the sound's floor.
        seed: of all random numbers.
        device: auto, cpu, cuda, cuda:N or mps.
        log_every, save_every: in steps.
    """

    width: int = 96
    layers: int = 3
    steps: int = 1500
    clips_share: float = 0.5
    batch: int = 12
    stretch: int = 100
    learning_rate: float = 2e-3
    velocity: float = 1.0
    tract: float = 1.15
    tempo: float = 1.15
    noise: float = 4.0
    seed: int = 0
    device: str = "auto"
    log_every: int = 20
    save_every: int = 250

    def __post_init__(self) -> None:
        need(8 <= self.width <= 512, f"width is 8 to 512, got {self.width}", "96 is the default")
        need(1 <= self.layers <= 8, f"layers are 1 to 8, got {self.layers}", "3 is the default")
        need(0 <= self.clips_share <= 1, f"clips_share is 0 to 1, got {self.clips_share}")
        need(1 <= self.batch <= 1024, f"batch is 1 to 1024, got {self.batch}", "12 is the default")
        need(20 <= self.stretch <= 3000, f"stretch is 20 to 3000, got {self.stretch}", "100 are two seconds")
        need(0 < self.learning_rate <= 0.1, f"learning_rate is above 0 and at most 0.1, got {self.learning_rate}")
        need(0 <= self.velocity <= 10, f"velocity is 0 to 10, got {self.velocity}")
        for name in ("tract", "tempo"):
            value = getattr(self, name)
            need(1 <= value <= 2, f"{name} is a factor of 1 to 2, got {value}", "1 leaves it as it is")
        need(0 <= self.noise <= 9, f"noise is 0 to 9, got {self.noise}")
        for name in ("steps", "log_every", "save_every"):
            need(getattr(self, name) >= 1, f"{name} is 1 or more, got {getattr(self, name)}")
