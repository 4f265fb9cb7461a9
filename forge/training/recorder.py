"""Output of a training: log, previews, checkpoints and the exported swapper."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from forge.models.checkpoint import EXPORT_FOLDER, TrainingSource, save_swapper
from forge.models.contract import Option
from forge.training.config import TrainConfig
from forge.training.data import Banks
from forge.training.previews import Measured, direction_sheet, loss_plot, measure, preview
from forge.training.timelapse import assemble, plot_moment
from forge.training.trainer import SwapTrainer
from shared.storage import write_bytes, write_text
from shared.training.run import Run
from shared.video.images import encode_jpeg


class RunRecorder:
    """Writes into a run folder, or nowhere in processes that are not the first (``run`` is None there)."""

    def __init__(
        self,
        run: Run | None,
        banks: Banks,
        sources: Sequence[TrainingSource],
        config: TrainConfig,
        start: str | None = None,
    ) -> None:
        self.run = run
        self.banks = banks
        self.sources = tuple(sources)
        self.config = config
        self.start = start
        self.held_out: dict[str, Measured] = {}

    def rewind(self, step: int) -> float:
        """Removes logs and previews after ``step``; returns the last loss logged before it, or NaN."""
        if self.run is None:
            return math.nan
        self.run.rewind(step)
        for image in (self.run.previews / "timelapse").glob("step-*.jpg"):
            if int(image.stem.removeprefix("step-")) > step:
                image.unlink(missing_ok=True)
        logged = [line["loss"] for line in self.run.metrics() if "loss" in line]
        return logged[-1] if logged else math.nan

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Logs ``scalars`` for ``step``."""
        if self.run is not None:
            self.run.log(step, **scalars)

    def note_return(self, reached: int, back_to: int, rate_scale: float) -> None:
        """Records in the log and ``run.json`` a return to an earlier step, and the learning rate's factor."""
        if self.run is None:
            return
        returns = [*self.run.facts.get("returns", [])]
        returns.append({"reached_step": reached, "back_to_step": back_to, "learning_rate_factor": rate_scale})
        self.run.facts["returns"] = returns
        write_text(self.run.path / "run.json", json.dumps(self.run.facts, indent=2) + "\n")
        self.run.log(back_to, learning_rate_factor=rate_scale)

    def write_previews(self, trainer: SwapTrainer, *, log: bool = True) -> None:
        """Writes the previews, and measures the held-out faces."""
        if self.run is None:
            return
        step, previews = trainer.step, self.run.previews
        banks = self.banks.held or self.banks.train
        with trainer.shipped() as swapper:
            image = preview(swapper, banks, trainer.device)
            moment = plot_moment(swapper, banks, trainer.device, step)
            directions = direction_sheet(swapper, banks, trainer.device) if len(banks) > 2 else None
            self.held_out = {bank.identity: measure(swapper, bank, trainer.device) for bank in self.banks.held}
        data = encode_jpeg(image)
        write_bytes(previews / f"step-{step:08d}.jpg", data)
        write_bytes(previews / "latest.jpg", data)
        write_bytes(previews / "timelapse" / f"step-{step:08d}.jpg", encode_jpeg(moment))
        if directions is not None:
            write_bytes(previews / "directions.jpg", encode_jpeg(directions))
        write_bytes(previews / "loss.png", loss_plot(self.run.metrics()))
        if not log:
            return  # a finished run, opened again: it was logged when it ended
        self.run.log_image(step, "preview", image)
        for identity, found in self.held_out.items():
            self.run.log(step, **{f"held_out/{identity}/{key}": value for key, value in found._asdict().items()})

    def save(
        self, trainer: SwapTrainer, meta: Mapping[str, Any], loss: float, seconds: float, *, snapshot: bool
    ) -> None:
        """Saves a checkpoint with ``meta`` beside the trainer's own, and the export."""
        if self.run is None:
            return
        tensors, own = trainer.state()
        self.run.save(trainer.step, tensors, {**own, **meta, "seconds": seconds}, snapshot=snapshot)
        self._export(trainer, loss, seconds)

    def finish(self) -> None:
        """Makes the time-lapse video."""
        if self.run is not None:
            assemble(self.run.previews / "timelapse", self.run.previews / "timelapse.mp4")

    @property
    def exported(self) -> bool:
        """Whether the export exists, or this process does not write."""
        return self.run is None or (self.run.path / EXPORT_FOLDER).exists()

    def _export(self, trainer: SwapTrainer, loss: float, seconds: float) -> None:
        assert self.run is not None
        training: dict[str, Option] = {
            "steps": trainer.step,
            "seconds": round(seconds, 1),
            "faces_seen": trainer.faces_seen,
            "seed": self.config.seed,
            "device": trainer.device.describe(),
            "assay": str(self.run.facts.get("versions", {}).get("assay", "")),
        }
        if math.isfinite(loss):
            training["loss"] = round(loss, 6)
        if self.start is not None:
            training["started_from"] = self.start
        with trainer.shipped() as swapper:
            save_swapper(
                swapper,
                self.run.path / EXPORT_FOLDER,
                facesets=self.sources,
                training=training,
                population=self.config.population,
            )
