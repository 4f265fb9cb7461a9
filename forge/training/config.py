"""Settings of swapper training. All defaults are defined here.

Imports no torch: the command line reads its defaults from this module.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from forge.training.augment_config import AugmentConfig
from forge.training.loss_config import LossConfig
from forge.training.recipe import Phase, check_phases
from shared.config import need

OptimizerName = Literal["adam", "adamw", "adabelief", "lion", "rmsprop"]


@dataclass(frozen=True)
class TrainConfig:
    """Settings of swapper training.

    Attributes:
        model: a family's name; width: multiplier of its channels; model_options: the family's other options.
        steps: how long to train. minutes: stop after this much training time, whichever comes first; the schedule
            (learning rate, warp, phases) follows whichever is further on, so a busy machine makes fewer steps.
        batch: faces of each identity in one step; identities_per_step: at most this many of them, in turn.
        accumulate: gradient accumulation, batches for one step.
        optimizer: its name. beta1, beta2: its moment decays; beta2 defaults to the optimizer's own.
            weight_decay: for adamw and lion only.
        learning_rate: reached after warmup_steps; cosine decay from the fraction decay_from of the schedule to decay_to
            times the rate at its end.
        lr_dropout: share of the weights that each step updates, chosen at random; DeepFaceLab's is 0.3, 1 updates all.
        clip_norm: maximum gradient norm; 0 turns clipping off. autoclip: clips to this percentile of all norms so far
            instead, 10 is usual; 0 turns it off.
        ema: decay of the averaged weights that are exported; 0 exports the weights as they are.
        loss: its weights. augment: augmentation of faces. phases: changes of settings over time, see
        forge/training/recipe.py. population: all facesets are trained as one person, with one decoder: a start for
            other trainings. start_from: a swapper, run or checkpoint whose weights the training starts from; base is
            the one in the package, none random weights; without it, the base where it fits. load_parts: which parts of
            it, comma-separated; all that fit if empty. freeze: frozen parts, comma-separated.
        max_faces: at most this many faces of a faceset, evenly spaced, are loaded.
        holdout: the last fraction of every clip's frames is held out and measured at every preview.
        device, precision: of training; compile: torch.compile, faster on CUDA and slower on CPUs.
        log_every, save_every, snapshot_every: in steps; keep: checkpoints kept beside snapshots.
        preview_every: in steps; 0 makes previews by time, the first after half a minute, then less and less often.
    """

    model: str = "compact"
    width: float = 0.5
    model_options: dict[str, str | int | float | bool] = field(default_factory=dict)
    steps: int = 20_000
    minutes: float | None = None
    batch: int = 16
    identities_per_step: int = 4
    accumulate: int = 1
    optimizer: OptimizerName = "adam"
    beta1: float = 0.9
    beta2: float | None = None
    weight_decay: float = 0.01
    learning_rate: float = 2e-4
    warmup_steps: int = 100
    decay_from: float = 0.6
    decay_to: float = 0.05
    lr_dropout: float = 1.0
    clip_norm: float = 0.0
    autoclip: float = 0.0
    ema: float = 0.0
    loss: LossConfig = LossConfig()  # noqa: RUF009 - frozen
    augment: AugmentConfig = AugmentConfig()  # noqa: RUF009 - frozen
    phases: tuple[Phase, ...] = ()
    population: bool = False
    start_from: str | None = None
    load_parts: str = ""
    freeze: str = ""
    max_faces: int = 5_000
    holdout: float = 0.0
    seed: int = 0
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool = False
    log_every: int = 20
    preview_every: int = 0
    save_every: int = 500
    snapshot_every: int = 25_000
    keep: int = 2

    def __post_init__(self) -> None:
        for name in _COUNTS:
            value = getattr(self, name)
            need(value >= 1, f"{name} must be at least 1, got {value}", "see the defaults")
        need(self.batch <= 1024, f"batch {self.batch} is larger than 1024", "16 to 64 is usual")
        need(self.snapshot_every >= 0, "snapshot_every is negative", "0 keeps no snapshots")
        need(self.preview_every >= 0, "preview_every is negative", "0 makes previews by time")
        need(self.minutes is None or self.minutes > 0, f"minutes must be positive, got {self.minutes}", "leave it out")
        need(0 < self.learning_rate <= 0.1, f"learning_rate {self.learning_rate} is outside 0 to 0.1", "5e-5 to 3e-4")
        need(0 <= self.decay_from <= 1 and 0 <= self.decay_to <= 1, "decay_from and decay_to are fractions", "0 to 1")
        need(self.warmup_steps >= 0, "warmup_steps is negative", "0 turns the warm-up off")
        need(0 <= self.beta1 < 1, f"beta1 {self.beta1} is outside 0 to 1", "0.9 is usual, 0.5 with an adversary")
        need(self.beta2 is None or 0 <= self.beta2 < 1, f"beta2 {self.beta2} is outside 0 to 1", "leave it out")
        need(0 <= self.weight_decay <= 1, f"weight_decay {self.weight_decay} is outside 0 to 1", "0.01 is usual")
        need(0 < self.lr_dropout <= 1, f"lr_dropout {self.lr_dropout} is outside 0 to 1", "0.3, or 1 to update all")
        need(self.clip_norm >= 0, f"clip_norm {self.clip_norm} is negative", "1.0 is usual; 0 turns it off")
        need(0 <= self.autoclip < 100, f"autoclip {self.autoclip} is no percentile", "10 is usual; 0 turns it off")
        need(not (self.clip_norm and self.autoclip), "clip_norm and autoclip are both set", "choose one")
        need(0 <= self.ema < 1, f"ema {self.ema} is outside 0 to 1", "0.999 is usual; 0 turns it off")
        need(self.max_faces >= 8, f"max_faces {self.max_faces} is too few", "5000 is usual")
        need(0 <= self.holdout <= 0.5, f"holdout {self.holdout} is outside 0 to 0.5", "0.2 keeps the last fifth")
        between = [name for name in ("true_face", "face_style", "background_style") if getattr(self.loss, name) > 0]
        need(
            not (self.population and between),
            f"{', '.join(between)} compares identities, and a population is one",
            "give it the weight 0",
        )
        check_phases(self)


_COUNTS = (
    "steps",
    "batch",
    "accumulate",
    "identities_per_step",
    "log_every",
    "save_every",
    "keep",
)

WHILE_RUNNING = ("steps", "minutes", "log_every", "preview_every", "save_every", "snapshot_every", "keep")
"""Settings that may differ when a run is resumed: duration, and intervals of previews and checkpoints."""
