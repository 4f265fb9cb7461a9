"""Output of a training: log, previews, checkpoints and the exported swapper."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from forge.models import Swapper
from forge.models.checkpoint import EXPORT_FOLDER, TrainingSource, save_swapper
from forge.models.contract import Option
from forge.training.collapse import Sign
from forge.training.config import TrainConfig
from forge.training.data import Banks
from forge.training.previews import Measured, loss_plot, measure, preview_sheet
from forge.training.timelapse import assemble, plot_moment
from forge.training.trainer import SwapTrainer
from shared.console import counted
from shared.device import Device
from shared.sampling import evenly_spaced
from shared.storage import write_bytes, write_text
from shared.training.run import Run
from shared.video.images import encode_jpeg

_MOST_MEASURED = 1024
_WATCHED_PEOPLE, _WATCHED_FACES = 8, 8


class Preview(NamedTuple):
    """A preview that was written: the step, the picture, and the quality of each identity in it.

    ``measured`` is of held-out faces, or where none are held out of a few training faces of some people.
    """

    step: int
    image: np.ndarray
    measured: dict[str, Measured]


class RunRecorder:
    """Writes into a run folder, or nowhere in processes that are not the first (``run`` is None there).

    Previews are made in a thread of their own, from a copy of the weights; close the recorder to end it.
    """

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
        self._thread = ThreadPoolExecutor(1, "previews")
        self._pending: Future[Preview] | None = None

    def rewind(self, step: int) -> float:
        """Removes logs and previews after ``step``; returns the last loss logged before it, or NaN."""
        if self.run is None:
            return math.nan
        self.run.rewind(step)
        for image in self.run.previews.rglob("step-*.jpg"):
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
        one = {"reached_step": reached, "back_to_step": back_to, "learning_rate_factor": rate_scale}
        self._note_fact(self.run, "returns", [*self.run.facts.get("returns", []), one])
        self.run.log(back_to, learning_rate_factor=rate_scale)

    def note_collapse(self, step: int, sign: Sign) -> bool:
        """Records in ``run.json`` the first sign of a collapse; returns whether it is the first, and to be told."""
        if self.run is None or "collapse" in self.run.facts:
            return False
        self._note_fact(self.run, "collapse", {"step": step, "good_step": sign.good_step, "sign": sign.text})
        return True

    def checkpoint_before(self, step: int) -> Path | None:
        """The newest checkpoint of ``step`` or before; None if none is kept."""
        return None if self.run is None else self.run.newest_at(step)

    @property
    def _named_step(self) -> int:
        """The step whose checkpoint a warning of a collapse named, in this call or an earlier one; -1 without one."""
        collapse = self.run.facts.get("collapse") if self.run is not None else None
        step = collapse.get("good_step") if isinstance(collapse, dict) else None
        return step if isinstance(step, int) else -1

    def _note_fact(self, run: Run, name: str, value: object) -> None:
        run.facts[name] = value
        write_text(run.path / "run.json", json.dumps(run.facts, indent=2) + "\n")

    def begin_preview(self, trainer: SwapTrainer) -> None:
        """Begins a preview of the weights as they are now, in a thread; fetch it with :meth:`finished_preview`.

        One at a time: an earlier one must have been fetched.
        """
        if self.run is None:
            return
        # Autocast is left out: its cache of weights is one for all threads, and is emptied when a thread leaves it.
        device = Device(trainer.device.torch_device, None)
        self._pending = self._thread.submit(_make_preview, self, self.run, trainer.snapshot(), trainer.step, device)

    @property
    def previewing(self) -> bool:
        """Whether a preview was begun that was not fetched."""
        return self._pending is not None

    def finished_preview(self, *, wait: bool = False, log: bool = True) -> Preview | None:
        """The preview that was begun, once it is written; None before that, unless ``wait``, and if there is none.

        ``log`` puts its numbers into the log; a finished run that is opened again has them.

        Raises:
            StorageError: writing it failed.
        """
        if self.run is None or self._pending is None or not (wait or self._pending.done()):
            return None
        pending, self._pending = self._pending, None
        found = pending.result()
        self.held_out = found.measured if self.banks.held else {}
        if log:
            self.run.log_image(found.step, "preview", found.image)
            for identity, one in self.held_out.items():
                self.run.log(found.step, **{f"held_out/{identity}/{key}": n for key, n in one._asdict().items()})
        return found

    def close(self) -> None:
        """Waits for the thread of the previews to end."""
        self._thread.shutdown()

    def save(
        self,
        trainer: SwapTrainer,
        meta: Mapping[str, Any],
        loss: float,
        seconds: float,
        *,
        snapshot: bool,
        spare: int = -1,
    ) -> None:
        """Saves a checkpoint with ``meta`` beside the trainer's own, and the export; see :meth:`Run.save`.

        Beside the one of step ``spare`` or before, the one that a warning of a collapse named stays.
        """
        if self.run is None:
            return
        tensors, own = trainer.state()
        kept = (spare, self._named_step)
        self.run.save(trainer.step, tensors, {**own, **meta, "seconds": seconds}, snapshot=snapshot, spare=kept)
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


def _make_preview(recorder: RunRecorder, run: Run, swapper: Swapper, step: int, device: Device) -> Preview:
    """Draws, measures and writes a preview. Changes nothing that a training step uses."""
    banks, folder, one_decoder = recorder.banks, run.previews, recorder.config.population
    shown = banks.held or banks.train
    title = f"step {step:,}, {counted(len(shown), 'person', 'people')}"
    image = preview_sheet(swapper, shown, device, title, one_decoder=one_decoder)
    data = encode_jpeg(image)
    write_bytes(folder / f"step-{step:08d}.jpg", data)
    write_bytes(folder / "latest.jpg", data)
    moment = plot_moment(swapper, shown, device, step)
    write_bytes(folder / "timelapse" / f"step-{step:08d}.jpg", encode_jpeg(moment))
    write_bytes(folder / "loss.png", loss_plot(run.metrics()))
    if banks.held:
        faces = max(4, min(64, _MOST_MEASURED // len(banks.held)))
    else:
        shown, faces = [shown[place] for place in evenly_spaced(len(shown), _WATCHED_PEOPLE)], _WATCHED_FACES
    return Preview(step, image, {bank.identity: measure(swapper, bank, device, faces=faces) for bank in shown})
