from __future__ import annotations

from pathlib import Path

from forge.building.plan_parts import BuildStep
from forge.building.progress import BuildProgress
from forge.building.tasks import TrainTask
from forge.training.config import TrainConfig


def training(run: Path) -> BuildStep:
    task = TrainTask(str(run.with_name("out")), str(run), (), TrainConfig(steps=200), (200,), 1)
    return BuildStep("t", "train", task, (), None, 1.0, 1.0)


def test_a_running_training_moves_the_bar_and_a_finished_step_counts_whole(tmp_path):
    run = tmp_path / "run"
    steps = [training(run), BuildStep("s", "shot", object(), (), None, 1.0, 1.0)]
    moved: list[tuple[int, str | None]] = []
    progress = BuildProgress(
        steps, {"t": 1000.0, "s": 10.0}, lambda amount=1, *, note=None: moved.append((amount, note))
    )
    progress.look()
    assert moved == []
    run.mkdir()
    (run / "metrics.jsonl").write_text('{"step": 20, "loss": 0.1}\n{"step": 50, "loss": 0.1}\n{"st')
    progress.look()
    assert moved.pop() == (250, "to do: 1 train, 1 shot")
    progress.finished(steps[1])
    assert moved.pop() == (10, "to do: 1 train")
    # A training that went back to an earlier step does not move the bar back.
    (run / "metrics.jsonl").write_text('{"step": 40}\n')
    progress.look()
    assert moved.pop() == (0, "to do: 1 train")
    (run / "metrics.jsonl").write_text("null\n")
    progress.look()
    assert moved == []
    progress.finished(steps[0])
    progress.look()
    assert moved == [(750, "")]
