"""What a training shows and says while it runs: previews, the bar, signs of a collapse."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from forge.training.previews import Measured
from forge.training.train import TrainResult, train_swapper
from shared.console import console
from shared.errors import StorageError
from tests.forge.training.test_train import CONFIG, assert_same_state, drawn_faceset


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("faces")
    return [drawn_faceset(folder, "ann"), drawn_faceset(folder, "bobby")]


@pytest.fixture(scope="module")
def trained(people: list[Path], tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A training with previews by steps, that others are compared with."""
    return train_swapper(people, tmp_path_factory.mktemp("train") / "run", CONFIG)


class TestPreviews:
    def test_previews_by_time_are_early_and_change_nothing(self, people, trained, tmp_path, monkeypatch):
        marks = iter([0.0, 0.0, 1e9, 1e9])
        monkeypatch.setattr("forge.training.loop.next_preview", lambda _seconds: next(marks))
        run = train_swapper(people, tmp_path / "run", dataclasses.replace(CONFIG, preview_every=0)).run
        # Due at once, and once more: after the first two steps, and at the end.
        made = sorted(path.stem for path in (run / "previews").glob("step-*.jpg"))
        assert made == ["step-00000001", "step-00000002", "step-00000006"]
        assert_same_state(trained.run, run)

    def test_a_step_does_not_wait_for_a_preview(self, people, trained, tmp_path, monkeypatch):
        from forge.training import recorder
        from forge.training.trainer import SwapTrainer

        later, plain, plain_step = threading.Event(), recorder.preview_sheet, SwapTrainer.train_step
        threads: set[int] = set()

        def waits(*given: object, **named: object) -> np.ndarray:
            threads.add(threading.get_ident())
            assert later.wait(60)
            return plain(*given, **named)  # type: ignore[arg-type]

        def stepped(self: SwapTrainer, fraction: float) -> object:
            if self.step == 5:  # while the preview of step 3 waits
                later.set()
            return plain_step(self, fraction)

        monkeypatch.setattr(recorder, "preview_sheet", waits)
        monkeypatch.setattr(SwapTrainer, "train_step", stepped)
        train_swapper(people, tmp_path / "run", CONFIG)
        assert threads
        assert threading.get_ident() not in threads
        assert_same_state(trained.run, tmp_path / "run")
        # The picture is of the weights of its step, as without the wait.
        for name in ("step-00000003.jpg", "latest.jpg"):
            pictures = [(run / "previews" / name).read_bytes() for run in (trained.run, tmp_path / "run")]
            assert pictures[0] == pictures[1]

    def test_a_preview_that_cannot_be_written_ends_the_training_with_the_reason(self, people, tmp_path, monkeypatch):
        def full(*_given: object) -> None:
            raise StorageError("the disk is full")

        monkeypatch.setattr("forge.training.recorder.write_bytes", full)
        with pytest.raises(StorageError, match="full"):
            train_swapper(people, tmp_path / "run", CONFIG)
        assert (tmp_path / "run" / "checkpoints" / "step-00000002.safetensors").exists()

    def test_the_bar_shows_a_loss_from_the_first_step(self, people, tmp_path, monkeypatch):
        notes: list[str] = []

        @contextlib.contextmanager
        def progress(*_given: object, **_named: object) -> Iterator[object]:
            yield lambda _amount=1, *, note="": notes.append(note)

        monkeypatch.setattr(console, "progress", progress)
        banks = dataclasses.replace(CONFIG, log_every=4, steps=3)
        result = train_swapper(people, tmp_path / "run", banks)
        own = [note for note in notes if note.startswith("step")]
        assert [note.split(",")[0] for note in own] == ["step 1", "step 2", "step 3"]
        assert all("loss" in note and "nan" not in note for note in own)
        assert np.isfinite(result.loss)


class TestCollapse:
    def collapsing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each logged loss is a sign: the watch says so from the third log on."""
        from forge.training.collapse import CollapseWatch, Sign

        def seen(watch: CollapseWatch, _phase: object, step: int, value: float) -> Sign | None:
            assert value > 0
            watch.good_step = 2
            return Sign("the loss has risen from 0.2 to 0.4 since step 2", 2) if step >= 6 else None

        monkeypatch.setattr(CollapseWatch, "loss", seen)

    def test_it_is_said_once_with_what_to_do_and_the_state_before_is_kept(self, people, tmp_path, monkeypatch, capsys):
        self.collapsing(monkeypatch)
        run = tmp_path / "run"
        config = dataclasses.replace(CONFIG, steps=10)
        train_swapper(people, run, config)
        said = " ".join(capsys.readouterr().err.split())
        good = run / "checkpoints" / "step-00000002.safetensors"
        assert said.count("may be collapsing") == 1
        assert "risen from 0.2 to 0.4 since step 2" in said
        assert f"--from {good}, with half the learning rate, --lr 0.0001" in said
        assert json.loads((run / "run.json").read_text())["collapse"]["step"] == 6
        # Another call says nothing more, and the way back that was named works.
        train_swapper(people, run, dataclasses.replace(config, steps=12))
        assert "collapsing" not in capsys.readouterr().err
        again = dataclasses.replace(CONFIG, start_from=str(good), learning_rate=1e-4, steps=1)
        assert train_swapper(people, tmp_path / "again", again).steps == 1

    def test_where_no_state_is_kept_it_says_so(self, people, tmp_path, monkeypatch, capsys):
        self.collapsing(monkeypatch)
        train_swapper(people, tmp_path / "run", dataclasses.replace(CONFIG, save_every=50))
        assert "begin a new run anew, as no earlier state is kept" in " ".join(capsys.readouterr().err.split())

    def test_previews_are_looked_at_too(self, people, tmp_path, monkeypatch, capsys):
        qualities = iter([Measured(0.8, 0.5, 8)] * 2 + [Measured(0.6, 0.1, 8)] * 2)
        monkeypatch.setattr("forge.training.recorder.measure", lambda *_given, **_named: next(qualities))
        train_swapper(people, tmp_path / "run", CONFIG)
        said = " ".join(capsys.readouterr().err.split())
        assert "faces have lost detail since step 3: sharpness 0.50 of the real faces' then and 0.10 now" in said

    def test_the_state_that_a_preview_s_sign_names_is_kept_from_then_on(self, people, tmp_path, monkeypatch, capsys):
        qualities = iter([Measured(0.8, 0.5, 8)] * 2 + [Measured(0.6, 0.1, 8)] * 20)
        monkeypatch.setattr("forge.training.recorder.measure", lambda *_given, **_named: next(qualities))
        run = tmp_path / "run"
        config = dataclasses.replace(CONFIG, steps=8, preview_every=2, keep=2)
        self.at_once(monkeypatch)
        train_swapper(people, run, config)
        good = run / "checkpoints" / "step-00000002.safetensors"
        assert f"--from {good}" in " ".join(capsys.readouterr().err.split())
        train_swapper(people, run, dataclasses.replace(config, steps=14))
        kept = [int(path.stem[-8:]) for path in sorted(good.parent.iterdir())]
        assert kept == [2, 12, 14]

    def test_a_preview_belongs_to_the_phase_in_which_it_was_begun(self, people, tmp_path, monkeypatch, capsys):
        """The good preview of step 1 is fetched only in the second phase, whose first is worse."""
        from forge.training.loop import TrainingLoop
        from forge.training.recipe import Phase

        qualities = iter([Measured(0.8, 0.5, 8)] * 2 + [Measured(0.6, 0.1, 8)] * 20)
        monkeypatch.setattr("forge.training.recorder.measure", lambda *_given, **_named: next(qualities))
        plain = TrainingLoop._fetch_preview

        def late(loop: TrainingLoop, *, wait: bool = False) -> None:
            if wait and loop.trainer.step > 1:
                plain(loop, wait=True)

        monkeypatch.setattr(TrainingLoop, "_fetch_preview", late)
        phases = (Phase(0.5), Phase(1.0, {"learning_rate": 1e-4}))
        train_swapper(people, tmp_path / "run", dataclasses.replace(CONFIG, preview_every=1, steps=2, phases=phases))
        assert "lost detail" not in " ".join(capsys.readouterr().err.split())

    def at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every preview is fetched in the step that begins it."""
        from forge.training.loop import TrainingLoop

        plain = TrainingLoop._begin_preview

        def begun(loop: TrainingLoop) -> None:
            plain(loop)
            loop._fetch_preview(wait=True)

        monkeypatch.setattr(TrainingLoop, "_begin_preview", begun)

    def test_a_preview_is_own_work_of_the_training(self, people, tmp_path, monkeypatch):
        from forge.training.loop import TrainingLoop

        left_out: list[int] = []
        monkeypatch.setattr(TrainingLoop, "busy_with_own_work", lambda loop: left_out.append(loop.trainer.step))
        train_swapper(people, tmp_path / "run", CONFIG)
        # From the step after each preview until it is fetched; the last one at the end.
        assert left_out[0] == 4
        assert left_out[-1] == CONFIG.steps
        assert 3 not in left_out
