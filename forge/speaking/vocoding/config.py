"""Settings of the training of a vocoder. Imports no torch: the command line reads its defaults from here."""

from __future__ import annotations

from dataclasses import dataclass

from shared.config import need

KIND = "vocoder"
"""Kind of its runs."""

WHILE_RUNNING = ("steps", "minutes", "device", "log_every", "save_every", "keep")
"""Settings that may differ when a run is resumed."""


@dataclass(frozen=True)
class VocoderConfig:
    """Settings of a training.

    Attributes:
        width: channels of the network. blocks: how many it has.
        steps: how long to train. minutes: stop after this much training time, whichever comes first; the schedule
            follows whichever is further on.
        batch: stretches of speech in a step. frames: their length, 80 a second.
        learning_rate: highest; it rises over ``warmup_steps`` and falls over the second half.
        mel: weight of the difference of log-mel spectrograms, beside that of spectra of several lengths.
        seed: of all random numbers.
        device: auto, cpu, cuda, cuda:N or mps.
        log_every, save_every: in steps; keep: checkpoints kept.
    """

    width: int = 256
    blocks: int = 6
    steps: int = 10_000
    minutes: float | None = None
    batch: int = 8
    frames: int = 48
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    mel: float = 1.0
    seed: int = 0
    device: str = "auto"
    log_every: int = 20
    save_every: int = 250
    keep: int = 2

    def __post_init__(self) -> None:
        need(8 <= self.width <= 1024, f"width is 8 to 1024, got {self.width}", "256 is the default")
        need(1 <= self.blocks <= 32, f"blocks are 1 to 32, got {self.blocks}", "6 is the default")
        need(self.steps >= 1, f"steps are 1 or more, got {self.steps}")
        need(self.minutes is None or self.minutes > 0, f"minutes must be positive, got {self.minutes}", "leave it out")
        need(1 <= self.batch <= 1024, f"batch is 1 to 1024, got {self.batch}", "8 is the default")
        need(16 <= self.frames <= 1600, f"frames are 16 to 1600, got {self.frames}", "80 are a second")
        need(0 < self.learning_rate <= 0.1, f"learning_rate is above 0 and at most 0.1, got {self.learning_rate}")
        need(self.warmup_steps >= 0, f"warmup_steps is negative, {self.warmup_steps}")
        need(0 <= self.mel <= 100, f"mel is 0 to 100, got {self.mel}", "1 is the default")
        for name in ("log_every", "save_every", "keep"):
            need(getattr(self, name) >= 1, f"{name} is 1 or more, got {getattr(self, name)}")
