"""Settings of the training of a voice model. Imports no torch: the command line reads its defaults from here."""

from __future__ import annotations

from dataclasses import dataclass

from shared.config import need

KIND = "voice model"
"""Kind of its runs."""

WHILE_RUNNING = ("steps", "minutes", "device", "log_every", "save_every", "keep")
"""Settings that may differ when a run is resumed."""


@dataclass(frozen=True)
class VoiceConfig:
    """Settings of a training.

    Attributes:
        width: channels of encoder and decoder.
        code: channels of the content code, of which there are 40 vectors a second.
        rank: of each identity's own part of every layer of the decoder.
        steps: how long to train. minutes: stop after this much training time, whichever comes first; the schedule
            follows whichever is further on.
        population_share: part of the schedule in which encoder and decoder are trained on all voices; after it only
            what each identity has of its own is.
        batch: stretches of speech in a step. frames: their length, 80 a second.
        learning_rate: highest; it rises over ``warmup_steps`` and falls from half of each stage on.
        formant, pitch, tempo: largest factors of the warps of vocal tract, pitch and tempo.
        noise: largest standard deviation of noise on the input, in units of the log-mel spectrogram.
        seed: of all random numbers.
        device: auto, cpu, cuda, cuda:N or mps.
        log_every, save_every: in steps; keep: checkpoints kept.
    """

    width: int = 128
    code: int = 24
    rank: int = 8
    steps: int = 20_000
    minutes: float | None = None
    population_share: float = 0.65
    batch: int = 8
    frames: int = 128
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    formant: float = 1.2
    pitch: float = 1.4
    tempo: float = 1.15
    noise: float = 0.3
    seed: int = 0
    device: str = "auto"
    log_every: int = 20
    save_every: int = 250
    keep: int = 2

    def __post_init__(self) -> None:
        need(8 <= self.width <= 1024, f"width is 8 to 1024, got {self.width}", "128 is the default")
        need(1 <= self.code <= 512, f"code is 1 to 512, got {self.code}", "16 to 32 keep the speaker out")
        need(1 <= self.rank <= self.width, f"rank is 1 to the width, got {self.rank}", "8 is the default")
        need(self.steps >= 1, f"steps are 1 or more, got {self.steps}")
        need(self.minutes is None or self.minutes > 0, f"minutes must be positive, got {self.minutes}", "leave it out")
        need(0 < self.population_share < 1, f"population_share is between 0 and 1, got {self.population_share}")
        need(1 <= self.batch <= 1024, f"batch is 1 to 1024, got {self.batch}", "8 is the default")
        need(
            self.frames % 4 == 0 and 32 <= self.frames <= 1600,
            f"frames are a multiple of 4 from 32 to 1600, got {self.frames}",
            "160 are two seconds",
        )
        need(0 < self.learning_rate <= 0.1, f"learning_rate is above 0 and at most 0.1, got {self.learning_rate}")
        need(self.warmup_steps >= 0, f"warmup_steps is negative, {self.warmup_steps}")
        for name in ("formant", "pitch", "tempo"):
            value = getattr(self, name)
            need(1 <= value <= 2, f"{name} is a factor of 1 to 2, got {value}", "1 turns the warp off")
        need(0 <= self.noise <= 2, f"noise is 0 to 2, got {self.noise}")
        for name in ("log_every", "save_every", "keep"):
            need(getattr(self, name) >= 1, f"{name} is 1 or more, got {getattr(self, name)}")
