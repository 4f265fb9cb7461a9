from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from shared.errors import CheckpointError, RunError, StorageError
from shared.training.checkpoint import read_checkpoint, write_checkpoint
from shared.training.run import Run
from shared.training.state import pack_optimizer, pack_rng, run_facts, unpack_optimizer, unpack_rng


@dataclass(frozen=True)
class Inner:
    depth: int = 2


@dataclass(frozen=True)
class Settings:
    rate: float = 0.5
    steps: int = 10
    inner: Inner = Inner()


def make(path: Path, config: object = Settings(), **changes) -> Run:
    arguments = {"seed": 3, "inputs": {"faces": "abc"}, "kind": "test", **changes}
    return Run.open_or_create(path, config, **arguments)


def some_tensors(value: float = 1.0) -> dict[str, torch.Tensor]:
    return {"weight": torch.full((3, 2), value), "odd": torch.tensor([1, 2], dtype=torch.int64)}


class TestFolder:
    def test_a_new_run_says_what_it_is(self, tmp_path):
        with make(tmp_path / "run") as run:
            assert run.config == {"rate": 0.5, "steps": 10, "inner": {"depth": 2}}
            facts = json.loads((run.path / "run.json").read_text())
        assert facts["kind"] == "test"
        assert facts["seed"] == 3
        assert facts["inputs"] == {"faces": "abc"}
        assert torch.__version__.startswith(facts["versions"]["torch"])
        assert (tmp_path / "run" / "config.toml").read_text().startswith("rate = 0.5")
        assert run.previews.is_dir()

    def test_it_opens_again(self, tmp_path):
        make(tmp_path / "run").close()
        with Run.open(tmp_path / "run", kind="test") as run:
            assert run.config["steps"] == 10
        with pytest.raises(RunError, match="kind 'test', not 'other'"):
            Run.open(tmp_path / "run", kind="other")

    def test_a_folder_with_something_else_in_it_is_left_alone(self, tmp_path):
        (tmp_path / "thesis.txt").write_text("mine")
        with pytest.raises(RunError, match="holds something already"):
            make(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]

    @pytest.mark.parametrize("left", [(), ("checkpoints",), ("checkpoints", "previews"), ("config.toml",)])
    def test_a_folder_that_a_kill_left_before_the_run_began_is_used(self, tmp_path, left):
        make(tmp_path).close()
        (tmp_path / "run.json").unlink()
        if "config.toml" not in left:
            (tmp_path / "config.toml").unlink()
            for name in {"checkpoints", "previews"} - set(left):
                (tmp_path / name).rmdir()
        (tmp_path / ".config.4194305-abcdef-0.part.toml").write_text("rate")
        with make(tmp_path) as run:
            assert run.config["steps"] == 10

    def test_somebody_elses_settings_are_not_the_beginning_of_a_run(self, tmp_path):
        (tmp_path / "config.toml").write_text("mine")
        with pytest.raises(RunError, match="holds something already"):
            make(tmp_path)
        (tmp_path / "checkpoints").mkdir()
        (tmp_path / "previews").mkdir()
        (tmp_path / "previews" / "me.jpg").write_text("mine")
        with pytest.raises(RunError, match="holds something already"):
            make(tmp_path)

    @pytest.mark.parametrize(
        ("changed", "named"),
        [(Settings(rate=0.25), "rate = 0.5, not 0.25"), (Settings(inner=Inner(3)), "inner.depth = 2, not 3")],
    )
    def test_a_changed_setting_is_refused_by_name(self, tmp_path, changed, named):
        make(tmp_path / "run").close()
        with pytest.raises(RunError, match=named):
            make(tmp_path / "run", changed)
        make(tmp_path / "run").close()  # the refusal let go of the lock

    def test_a_changed_input_is_refused_by_name(self, tmp_path):
        make(tmp_path / "run").close()
        with pytest.raises(RunError, match=r"input\.faces = 'abc', not 'abd'"):
            make(tmp_path / "run", inputs={"faces": "abd"})

    def test_a_setting_that_may_change_is_written_anew(self, tmp_path):
        make(tmp_path / "run").close()
        with make(tmp_path / "run", Settings(steps=99), may_change=("steps",)) as run:
            assert run.config["steps"] == 99
        with Run.open(tmp_path / "run") as run:
            assert run.config["steps"] == 99

    def test_a_run_in_use_is_refused(self, tmp_path):
        with make(tmp_path / "run"), pytest.raises(RunError, match="in use"):
            make(tmp_path / "run")

    @pytest.mark.parametrize("content", ["", "{", "[1]", "\x00\xff"])
    def test_damaged_facts_are_refused(self, tmp_path, content):
        make(tmp_path / "run").close()
        (tmp_path / "run" / "run.json").write_bytes(content.encode("latin-1"))
        with pytest.raises(RunError, match="damaged"):
            Run.open(tmp_path / "run")

    def test_no_run_is_refused(self, tmp_path):
        with pytest.raises(RunError, match=r"no run\.json"):
            Run.open(tmp_path)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_a_read_only_place_is_refused(self, tmp_path):
        tmp_path.chmod(0o500)
        with pytest.raises(StorageError):
            make(tmp_path / "run")

    def test_a_file_in_the_way_is_refused(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(StorageError):
            make(tmp_path / "file" / "run")


class TestMetrics:
    def test_lines_and_events(self, tmp_path):
        with make(tmp_path / "run") as run:
            run.log(10, loss=0.5)
            run.log(20, loss=0.25, rate=3)
            run.log_image(20, "preview", np.zeros((4, 4, 3), np.uint8))
            assert run.metrics() == [{"step": 10, "loss": 0.5}, {"step": 20, "loss": 0.25, "rate": 3.0}]
        assert list((tmp_path / "run" / "events").glob("events.out.*"))

    def test_half_a_line_from_a_kill_is_passed_over(self, tmp_path):
        with make(tmp_path / "run") as run:
            run.log(10, loss=0.5)
            with run.metrics_file.open("a") as file:
                file.write('{"step": 11, "loss": "large", "rate": 2.0}\n{"loss": 3.0}\n')
                file.write('{"step": 20, "lo')
            assert run.metrics() == [{"step": 10, "loss": 0.5}, {"step": 11, "rate": 2.0}]

    def test_rewind_forgets_what_comes_later(self, tmp_path):
        with make(tmp_path / "run") as run:
            for step in (10, 20, 30):
                run.log(step, loss=1.0)
            run.rewind(20)
            run.log(30, loss=2.0)
            assert [(line["step"], line["loss"]) for line in run.metrics()] == [(10, 1), (20, 1), (30, 2)]


class TestCheckpoints:
    def test_what_is_saved_comes_back(self, tmp_path):
        with make(tmp_path / "run") as run:
            assert run.latest() is None
            last = torch.arange(36.0).view(2, 2, 3, 3).to(memory_format=torch.channels_last)
            path = run.save(7, {**some_tensors(), "last": last}, {"note": [1, "a", None]})
            found = run.latest()
        assert path.name == "step-00000007.safetensors"
        assert found is not None
        assert found.step == 7
        assert found.meta == {"note": [1, "a", None]}
        assert torch.equal(found.tensors["last"], last)
        assert found.tensors["odd"].dtype == torch.int64

    def test_those_are_spared_that_are_still_good(self, tmp_path):
        with make(tmp_path / "run", keep=2) as run:
            for step in range(10, 70, 10):
                run.save(step, some_tensors(), {}, spare=(25, -1))
            assert [int(path.stem[-8:]) for path in sorted(run.checkpoints.iterdir())] == [20, 50, 60]
            assert run.newest_at(49) == run.checkpoint_path(20)
            assert run.newest_at(19) is None
            run.save(70, some_tensors(), {}, spare=(25, 55))
            run.save(80, some_tensors(), {}, spare=(25, 55))
            assert [int(path.stem[-8:]) for path in sorted(run.checkpoints.iterdir())] == [20, 50, 70, 80]
            run.save(90, some_tensors(), {}, spare=(55,))
            assert [int(path.stem[-8:]) for path in sorted(run.checkpoints.iterdir())] == [50, 80, 90]

    def test_the_last_and_every_snapshot_are_kept(self, tmp_path):
        with make(tmp_path / "run", keep=2) as run:
            for step in range(1, 7):
                run.save(step, some_tensors(), {}, snapshot=step == 2)
            assert [path.stem[-1] for path in sorted(run.checkpoints.iterdir())] == ["2", "5", "6"]

    @pytest.mark.parametrize("damage", ["cut", "empty", "text"])
    def test_a_damaged_newest_falls_back_to_the_one_before(self, tmp_path, damage, capsys):
        with make(tmp_path / "run") as run:
            run.save(1, some_tensors(1), {})
            newest = run.save(2, some_tensors(2), {})
            whole = newest.read_bytes()
            newest.write_bytes({"cut": whole[:-5], "empty": b"", "text": b"not a checkpoint at all"}[damage])
            found = run.latest()
            assert found is not None
            assert found.step == 1
            assert "step-00000002" in capsys.readouterr().err.replace("\n", "")
            (run.checkpoints / "step-00000001.safetensors").write_bytes(b"")
            with pytest.raises(CheckpointError, match="no checkpoint"):
                run.latest()

    def test_drafts_of_a_killed_process_are_cleared(self, tmp_path):
        make(tmp_path / "run").close()
        draft = tmp_path / "run" / "checkpoints" / ".step-00000009.123.part.safetensors"
        draft.write_bytes(b"half")
        with Run.open(tmp_path / "run") as run:
            assert not draft.exists()
            assert run.latest() is None

    def test_a_full_disk_is_reported_before_anything_is_written(self, tmp_path, monkeypatch):
        with make(tmp_path / "run") as run:
            run.save(1, some_tensors(), {})
            monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
            with pytest.raises(StorageError, match="free"):
                run.save(2, some_tensors(), {})
            found = run.latest()
            assert found is not None
            assert found.step == 1

    def test_foreign_files_are_refused(self, tmp_path):
        from safetensors.torch import save_file

        save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
        for path in (tmp_path / "foreign.safetensors", tmp_path / "missing.safetensors", tmp_path):
            with pytest.raises(CheckpointError):
                read_checkpoint(path)

    def test_a_document_that_is_not_json_is_refused_and_leaves_nothing(self, tmp_path):
        with pytest.raises(ValueError, match="JSON"):
            write_checkpoint(tmp_path / "a.safetensors", some_tensors(), {"loss": float("nan")})
        assert not list(tmp_path.iterdir())


def train(model: nn.Module, optimizer: torch.optim.Optimizer, chance: torch.Generator, steps: int) -> None:
    for _ in range(steps):
        batch = torch.rand(4, 3, 8, 8, generator=chance).contiguous(memory_format=torch.channels_last)
        loss = (model(batch) ** 2).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


def parts(kind: str) -> tuple[nn.Module, torch.optim.Optimizer, torch.Generator]:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 2, 3)).to(memory_format=torch.channels_last)
    make_optimizer = {
        "adam": lambda p: torch.optim.Adam(p, 1e-2, fused=True),
        "adamw": lambda p: torch.optim.AdamW([{"params": p[:2]}, {"params": p[2:], "lr": 1e-3}], 1e-2),
        "sgd": lambda p: torch.optim.SGD(p, 1e-2, momentum=0.9),
    }[kind]
    return model, make_optimizer(list(model.parameters())), torch.Generator().manual_seed(2)


@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
def test_a_resumed_optimizer_goes_on_bit_for_bit(tmp_path, kind):
    model, optimizer, chance = parts(kind)
    train(model, optimizer, chance, 3)
    with make(tmp_path / "run") as run:
        state, facts = pack_optimizer(optimizer)
        random, random_facts = pack_rng({"data": chance})
        weights = {f"model.{name}": value for name, value in model.state_dict().items()}
        run.save(3, {**weights, **state, **random}, {"optimizer": facts, "rng": random_facts})
        train(model, optimizer, chance, 4)
        saved = run.latest()
    assert saved is not None
    other, again, fresh = parts(kind)
    other.load_state_dict({name[6:]: value for name, value in saved.tensors.items() if name.startswith("model.")})
    unpack_optimizer(again, saved.tensors, saved.meta["optimizer"])
    unpack_rng({"data": fresh}, saved.tensors, saved.meta["rng"])
    assert type(again.param_groups[0].get("betas", ())) is tuple
    train(other, again, fresh, 4)
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_the_state_of_another_optimizer_is_refused():
    model, optimizer, chance = parts("adam")
    train(model, optimizer, chance, 1)
    tensors, facts = pack_optimizer(optimizer)
    other = torch.optim.Adam(nn.Linear(2, 2).parameters())
    with pytest.raises(CheckpointError):
        unpack_optimizer(other, tensors, facts)
    same_count = torch.optim.Adam(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)).parameters())
    with pytest.raises(CheckpointError, match="fits no parameter"):
        unpack_optimizer(same_count, tensors, facts)


def test_random_streams_go_on():
    torch_stream, numpy_stream = torch.Generator().manual_seed(4), np.random.default_rng(5)
    tensors, facts = pack_rng({"t": torch_stream, "n": numpy_stream})
    facts = json.loads(json.dumps(facts))
    expected = torch.rand(3, generator=torch_stream), numpy_stream.random(3)
    fresh = torch.Generator(), np.random.default_rng(0)
    unpack_rng({"t": fresh[0], "n": fresh[1]}, tensors, facts)
    assert torch.equal(torch.rand(3, generator=fresh[0]), expected[0])
    assert np.array_equal(fresh[1].random(3), expected[1])
    with pytest.raises(CheckpointError, match="'missing'"):
        unpack_rng({"missing": fresh[0]}, tensors, facts)
    with pytest.raises(CheckpointError, match="'n'"):
        unpack_rng({"n": fresh[1]}, tensors, {"n": {"bit_generator": "other"}})


def test_facts_say_what_a_reader_needs():
    facts = run_facts("cpu (float32)", 7, {"a": "b"})
    assert {"started", "versions", "git", "platform", "processors", "device", "seed", "inputs"} <= set(facts)
    json.dumps(facts)


_WRITER = """
import sys, torch
from pathlib import Path
from shared.training.run import Run
run = Run.open_or_create(Path(sys.argv[1]), {"a": 1}, seed=0, inputs={}, kind="test")
step = 0
while True:
    step += 1
    run.save(step, {"weight": torch.full((400, 400), float(step))}, {"step": step})
    if step == 2:
        sys.stdout.write("ready\\n")
        sys.stdout.flush()
"""


def test_a_kill_at_any_moment_leaves_a_whole_checkpoint_and_no_lock(tmp_path):
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(tmp_path / "run")], cwd=root, stdout=subprocess.PIPE, text=True
    ) as writer:
        guard = threading.Timer(600, writer.kill)
        guard.start()
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        guard.cancel()
        time.sleep(0.05)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    with Run.open(tmp_path / "run") as run:
        found = run.latest()
        assert found is not None
        assert found.step >= 2
        assert bool((found.tensors["weight"] == found.step).all())


def test_a_run_of_an_older_version_goes_on_while_what_is_new_has_its_default(tmp_path):
    @dataclass(frozen=True)
    class Older:
        rate: float = 0.5

    @dataclass(frozen=True)
    class Newer(Older):
        swaps: str = "fake"

    told = {"seed": 0, "inputs": {}, "kind": "test"}
    Run.open_or_create(tmp_path / "run", Older(), **told).close()
    with pytest.raises(RunError, match="swaps"):
        Run.open_or_create(tmp_path / "run", Newer(swaps="leave-out"), **told)
    Run.open_or_create(tmp_path / "run", Newer(), **told).close()
    assert Run.open(tmp_path / "run").config == {"rate": 0.5, "swaps": "fake"}
