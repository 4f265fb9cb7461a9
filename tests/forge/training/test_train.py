from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from forge.models.checkpoint import load_swapper, read_card, swapper_digest
from forge.models.contract import SwapSpec
from forge.training.config import TrainConfig
from forge.training.data import load_banks
from forge.training.train import TrainResult, train_swapper
from shared.errors import FacesetError, RunError, TrainingDivergedError, UsageError
from shared.faces.align import mean_in_crop
from shared.faces.facesets.reader import Faceset
from shared.training.checkpoint import read_checkpoint
from tests.factories import face_row, write_faceset

ROOT = Path(__file__).resolve().parents[3]
CONFIG = TrainConfig(
    model="lightweight",
    width=0.03,
    batch=2,
    steps=6,
    warmup_steps=2,
    log_every=2,
    preview_every=3,
    save_every=2,
    snapshot_every=0,
    device="cpu",
)


def drawn_faceset(folder: Path, identity: str, faces: int = 10, *, kept: int | None = None) -> Path:
    """A faceset of drawn faces: a gradient in the person's colour with darker eyes and mouth; two clips."""
    rng = np.random.default_rng(len(identity))
    colour = rng.integers(80, 220, 3)
    points = mean_in_crop(64, "whole")
    y, x = np.mgrid[0:64, 0:64]
    drawn = []
    for number in range(faces):
        light = 0.6 + 0.4 * (x + number) / 80
        for place in (points[36:42], points[42:48], points[48:60]):
            centre = place.mean(0)
            light = np.where((x - centre[0]) ** 2 + (y - centre[1]) ** 2 < 12 + number, 0.2, light)
        row = face_row(
            points,
            clip=number // ((faces + 1) // 2),
            frame=number,
            pts=number,
            seconds=number / 25,
            box=np.array([8, 8, 56, 56], np.float32),
            kept=kept is None or number < kept,
        )
        drawn.append((row, np.clip(colour * light[..., None], 0, 255).astype(np.uint8)))
    return write_faceset(folder / identity, identity, drawn, clips=range(2))


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("faces")
    return [drawn_faceset(folder, "ann"), drawn_faceset(folder, "bobby")]


@pytest.fixture(scope="module")
def trained(people: list[Path], tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """An uninterrupted training, that others are compared with."""
    return train_swapper(people, tmp_path_factory.mktemp("train") / "run", CONFIG)


def state_of(run: Path, step: int = CONFIG.steps) -> dict[str, torch.Tensor]:
    tensors, _ = read_checkpoint(run / "checkpoints" / f"step-{step:08d}.safetensors")
    return tensors


def assert_same_state(one: Path, other: Path) -> None:
    first, second = state_of(one), state_of(other)
    assert set(first) == set(second)
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


class TestTheRun:
    def test_it_ends_with_a_swapper_that_loads(self, trained):
        assert trained.steps == CONFIG.steps
        assert trained.faces_per_second > 0
        swapper = load_swapper(trained.run)
        assert swapper.spec.identities == ("ann", "bobby")
        saved = state_of(trained.run)
        for name, value in swapper.state_dict().items():
            assert torch.equal(value, saved[f"model.{name}"])

    def test_the_card_says_who_and_how(self, trained, people):
        card = read_card(trained.swapper)
        assert [(each.identity, each.rights, each.faces) for each in card.facesets] == [
            ("ann", "synthetic", 10),
            ("bobby", "synthetic", 10),
        ]
        assert card.facesets[0].digest == Faceset.open(people[0]).digest()
        assert card.training["steps"] == CONFIG.steps
        assert card.training["faces_seen"] == CONFIG.steps * 4

    def test_the_folder_holds_what_a_person_looks_at(self, trained):
        previews = sorted(path.name for path in (trained.run / "previews").iterdir())
        assert previews == [
            "latest.jpg",
            "loss.png",
            "step-00000003.jpg",
            "step-00000006.jpg",
            "timelapse",
            "timelapse.mp4",
        ]
        moments = sorted(path.name for path in (trained.run / "previews" / "timelapse").iterdir())
        assert moments == ["step-00000003.jpg", "step-00000006.jpg"]
        lines = [json.loads(line) for line in (trained.run / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == [2, 4, 6]
        assert {"loss", "dssim", "mae", "mask", "loss/ann", "loss/bobby", "faces_per_second", "data_share"} <= set(
            lines[0]
        )
        assert lines[-1]["loss"] == pytest.approx(trained.loss)
        assert list((trained.run / "events").iterdir())

    def test_checkpoints_are_thinned(self, trained):
        kept = sorted(path.name for path in (trained.run / "checkpoints").iterdir())
        assert kept == ["step-00000004.safetensors", "step-00000006.safetensors"]

    def test_a_finished_run_does_nothing_more(self, trained, people):
        before = state_of(trained.run)
        again = train_swapper(people, trained.run, CONFIG)
        assert again.steps == CONFIG.steps
        assert again.loss == pytest.approx(trained.loss)
        assert all(torch.equal(value, before[name]) for name, value in state_of(trained.run).items())

    def test_what_is_held_out_is_measured(self, people, tmp_path):
        config = dataclasses.replace(CONFIG, steps=2, holdout=0.2, ema=0.5)
        result = train_swapper(people, tmp_path / "run", config)
        assert set(result.held_out) == {"ann", "bobby"}
        assert result.held_out["ann"].faces == 2
        assert -1 <= result.held_out["ann"].ssim <= 1
        assert any(
            "held_out/ann/ssim" in line for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
        )

    def test_time_can_be_the_limit_and_it_is_said(self, people, tmp_path, capsys):
        config = dataclasses.replace(CONFIG, steps=1_000_000, minutes=0.01)
        result = train_swapper(people, tmp_path / "run", config)
        assert 1 <= result.steps < 1_000_000
        assert result.seconds >= 0.6
        load_swapper(tmp_path / "run")
        assert "0.01 minutes by the clock, which drives learning rate, warp and phases too" in " ".join(
            capsys.readouterr().out.split()
        )

    def test_it_begins_with_what_another_learned_and_says_so(self, people, trained, tmp_path):
        config = dataclasses.replace(CONFIG, steps=1, start_from=str(trained.run), freeze="encoder")
        third = drawn_faceset(tmp_path, "cat")
        result = train_swapper([people[0], third], tmp_path / "run", config)
        ours, theirs = load_swapper(result.run).parts()["encoder"], load_swapper(trained.run).parts()["encoder"]
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(one, other)
        assert read_card(result.swapper).training["started_from"] == swapper_digest(trained.run)
        # Gone on with when the swapper it came from is no longer there, too.
        gone = dataclasses.replace(config, steps=2)
        assert train_swapper([people[0], third], tmp_path / "run", gone).steps == 2

    def test_poses_are_compared_before_it_begins(self, trained):
        told = json.loads((trained.run / "coverage.json").read_text())
        assert [(pair["source"], pair["covered"]) for pair in told["pairs"]] == [("ann", 1.0), ("bobby", 1.0)]
        assert (trained.run / "coverage.png").stat().st_size > 1000

    def test_more_than_two_people(self, people, tmp_path):
        third = drawn_faceset(tmp_path, "cat")
        result = train_swapper([*people, third], tmp_path / "run", dataclasses.replace(CONFIG, steps=2))
        assert load_swapper(result.run).spec.identities == ("ann", "bobby", "cat")


@pytest.mark.slow
class TestResume:
    def test_ctrl_c_saves_and_the_same_command_goes_on_exactly(self, people, trained, tmp_path, monkeypatch, capsys):
        from forge.training.trainer import SwapTrainer

        plain = SwapTrainer.train_step

        def interrupted(self: SwapTrainer, fraction: float) -> object:
            if self.step == 2:
                os.kill(os.getpid(), signal.SIGINT)
            return plain(self, fraction)

        monkeypatch.setattr(SwapTrainer, "train_step", interrupted)
        # A suite that was started in the background inherits "ignore".
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        with pytest.raises(KeyboardInterrupt):
            train_swapper(people, tmp_path / "run", CONFIG)
        said = capsys.readouterr().out
        assert "stopped at step 3" in said
        assert "goes on" in said
        monkeypatch.undo()
        assert signal.signal(signal.SIGINT, before) is signal.default_int_handler
        assert sorted(path.name for path in (tmp_path / "run" / "previews").glob("step-*")) == ["step-00000003.jpg"]
        result = train_swapper(people, tmp_path / "run", CONFIG)
        assert result.steps == CONFIG.steps
        assert_same_state(trained.run, tmp_path / "run")
        lines = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
        assert lines == [2, 4, 6]

    @pytest.mark.parametrize("moment", [2, 5])
    def test_a_kill_in_the_middle_of_a_step_costs_nothing_but_time(self, people, trained, tmp_path, moment):
        run = tmp_path / "run"
        # Sums come out the same only with the same number of threads.
        threads = torch.get_num_threads()
        settings = json.dumps([str(run), [str(path) for path in people], dataclasses.asdict(CONFIG), moment, threads])
        with subprocess.Popen([sys.executable, "-c", _KILLED, settings], cwd=ROOT) as child:
            guard = threading.Timer(600, child.kill)
            guard.start()
            assert child.wait() == -signal.SIGKILL
            guard.cancel()
        reached = max(int(path.stem[-8:]) for path in (run / "checkpoints").iterdir())
        assert reached == moment // 2 * 2
        train_swapper(people, run, CONFIG)
        assert_same_state(trained.run, run)

    def test_a_damaged_newest_checkpoint_costs_nothing_but_time(self, people, trained, tmp_path):
        run = Path(shutil.copytree(trained.run, tmp_path / "run"))
        newest = run / "checkpoints" / "step-00000006.safetensors"
        newest.write_bytes(newest.read_bytes()[:-100])
        train_swapper(people, run, CONFIG)
        assert_same_state(trained.run, run)

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"learning_rate": 1e-3}, "learning_rate"),
            ({"width": 0.06}, "width"),
            ({"batch": 3}, "batch"),
            ({"augment": dataclasses.replace(CONFIG.augment, flip=0.0)}, r"augment\.flip"),
        ],
    )
    def test_other_settings_are_refused_by_name(self, trained, people, changes, named):
        with pytest.raises(RunError, match=named):
            train_swapper(people, trained.run, dataclasses.replace(CONFIG, **changes))

    def test_more_steps_are_not(self, trained, people, tmp_path):
        run = Path(shutil.copytree(trained.run, tmp_path / "run"))
        assert train_swapper(people, run, dataclasses.replace(CONFIG, steps=7)).steps == 7

    def test_other_faces_are_refused_by_name(self, trained, people, tmp_path):
        other = drawn_faceset(tmp_path, "ann", 12)
        with pytest.raises(RunError, match=r"input\.ann"):
            train_swapper([other, people[1]], trained.run, CONFIG)


class TestRefusals:
    def test_one_faceset(self, people, tmp_path):
        with pytest.raises(UsageError, match="two or more"):
            train_swapper(people[:1], tmp_path / "run", CONFIG)

    def test_one_person_twice(self, people, tmp_path):
        with pytest.raises(UsageError, match="both of 'ann'"):
            train_swapper([people[0], people[1], people[0]], tmp_path / "run", CONFIG)

    @pytest.mark.parametrize(("faces", "kept", "said"), [(1, None, "1 usable face,"), (12, 5, "5 usable faces")])
    def test_a_faceset_of_too_few_faces_before_anything_is_written(self, people, tmp_path, faces, kept, said):
        small = drawn_faceset(tmp_path, "eve", faces, kept=kept)
        with pytest.raises(FacesetError, match=said) as caught:
            train_swapper([people[0], small], tmp_path / "run", CONFIG)
        assert "eve" in str(caught.value)
        assert caught.value.hint
        assert not (tmp_path / "run").exists()

    def test_a_missing_faceset(self, people, tmp_path):
        with pytest.raises(FacesetError):
            train_swapper([people[0], tmp_path / "nobody"], tmp_path / "run", CONFIG)

    def test_a_loss_that_is_no_number_keeps_the_last_good_state(self, people, tmp_path, monkeypatch):
        from forge.training.trainer import SwapTrainer

        plain = SwapTrainer.train_step

        def poisoned(self: SwapTrainer, fraction: float) -> object:
            if self.step == 4:
                with torch.no_grad():
                    self.swapper.get_parameter("encoder.narrow.bias")[0] = torch.nan
            return plain(self, fraction)

        monkeypatch.setattr(SwapTrainer, "train_step", poisoned)
        with pytest.raises(
            TrainingDivergedError, match=r"by step 5, after 3 returns; the state of step 4 is kept"
        ) as caught:
            train_swapper(people, tmp_path / "run", CONFIG)
        assert "learning rate" in (caught.value.hint or "")
        assert all(torch.isfinite(value).all() for value in load_swapper(tmp_path / "run").state_dict().values())

    def test_after_a_bad_step_it_goes_on_from_the_last_good_state_at_half_the_rate(self, people, tmp_path, monkeypatch):
        from forge.training.trainer import SwapTrainer

        plain = SwapTrainer.train_step
        reached: list[int] = []

        def poisoned(self: SwapTrainer, fraction: float) -> object:
            if self.step == 3 and reached.count(3) == 0:
                with torch.no_grad():
                    self.swapper.get_parameter("encoder.narrow.bias")[0] = torch.nan
            reached.append(self.step)
            return plain(self, fraction)

        monkeypatch.setattr(SwapTrainer, "train_step", poisoned)
        result = train_swapper(people, tmp_path / "run", CONFIG)
        assert reached == [0, 1, 2, 3, 2, 3, 4, 5]
        assert result.steps == CONFIG.steps
        assert np.isfinite(result.loss)
        facts = json.loads((tmp_path / "run" / "run.json").read_text())
        assert facts["returns"] == [{"reached_step": 4, "back_to_step": 2, "learning_rate_factor": 0.5}]
        lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
        assert {"step": 2, "learning_rate_factor": 0.5} in lines
        _, meta = read_checkpoint(tmp_path / "run" / "checkpoints" / "step-00000006.safetensors")
        assert meta["meta"]["rate_scale"] == 0.5
        assert all(torch.isfinite(value).all() for value in state_of(tmp_path / "run").values())

    def test_damaged_weights_are_never_saved(self, people, tmp_path, monkeypatch):
        from forge.training.trainer import SwapTrainer

        plain = SwapTrainer.train_step

        def poisoned(self: SwapTrainer, fraction: float) -> object:
            losses = plain(self, fraction)
            if self.step == 2:
                with torch.no_grad():
                    self.swapper.get_parameter("encoder.narrow.bias")[0] = torch.inf
            return losses

        monkeypatch.setattr(SwapTrainer, "train_step", poisoned)
        with pytest.raises(TrainingDivergedError, match="no state was saved yet"):
            train_swapper(people, tmp_path / "run", CONFIG)
        assert not list((tmp_path / "run" / "checkpoints").iterdir())


class TestBanks:
    SPEC = SwapSpec("test", 32, 32, "full", ("ann", "bobby"), True)

    def test_kept_faces_are_read_and_the_end_of_each_clip_held_out(self, people, tmp_path):
        sets = [Faceset.open(people[0]), Faceset.open(drawn_faceset(tmp_path, "bobby", 14, kept=11))]
        banks = load_banks(sets, self.SPEC, torch.device("cpu"), max_faces=100, holdout=0.2)
        # ann has clips of 5 and 5; bobby of 7 and, of the kept ones, 4, a fifth of which is less than one face.
        assert [len(bank) for bank in banks.train] == [8, 10]
        assert [len(bank) for bank in banks.held] == [2, 1]
        assert [bank.identity for bank in banks.train] == ["ann", "bobby"]

    def test_of_too_many_faces_an_even_choice_is_kept(self, people):
        sets = [Faceset.open(path) for path in people]
        banks = load_banks(sets, self.SPEC, torch.device("cpu"), max_faces=8, holdout=0.0)
        assert [len(bank) for bank in banks.train] == [8, 8]
        assert banks.held == []

    def test_a_small_crop_is_not_stored_larger_than_it_resolves(self, people):
        sets = [Faceset.open(path) for path in people]
        banks = load_banks(sets, self.SPEC, torch.device("cpu"), max_faces=8, holdout=0.0)
        # 64 px of framing "whole" (ratio 2.131) hold 48 px of "full" (1.5965); a quarter more for the margin is 60.
        assert banks.train[0].planes.shape[-1] == 60


_KILLED = """
import json, os, signal, sys
from pathlib import Path
import torch
from forge.training.config import TrainConfig
from forge.training.train import train_swapper
from forge.training.trainer import SwapTrainer
from shared.config import from_mapping

run, people, settings, moment, threads = json.loads(sys.argv[1])
torch.set_num_threads(threads)
plain = SwapTrainer._losses

def killed(self, names, batches, settings):
    losses = plain(self, names, batches, settings)
    if self.step == moment:
        os.kill(os.getpid(), signal.SIGKILL)
    return losses

SwapTrainer._losses = killed
train_swapper([Path(path) for path in people], Path(run), from_mapping(TrainConfig, settings))
"""
