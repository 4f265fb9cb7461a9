"""Findings of ``assay doctor`` on devices: which are used, their speed, and why a GPU is not used."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.commands.finding import Finding
from shared.console import counted
from shared.errors import AssayError

if TYPE_CHECKING:
    from shared.faces.finders.finder import FaceFinder

StepTimer = Callable[[str], float]
"""Returns the duration of one training step on the named device, in ms."""

_VENDORS = {"0x10de": "NVIDIA", "0x1002": "AMD"}
_DISPLAY = "0x03"
_INSTALL = "https://pytorch.org/get-started/locally/"
_FRAME_PX, _FACE_SEED = 360, 3
_REPEATS = 3


def device_findings(time_step: StepTimer | None) -> list[Finding]:
    """A finding for each device of torch and each unused GPU; without ``time_step`` nothing is measured."""
    try:
        import torch

        from shared.device import pick_device

        names = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        names += ["mps"] if torch.backends.mps.is_available() else []
        found = [Finding("device", name, "ok", pick_device(name).describe()) for name in names]
    except (ImportError, OSError, RuntimeError) as error:
        return [Finding("device", "torch", "broken", str(error), "pip install --force-reinstall torch torchvision")]
    if len(names) == 1:
        found += _unused(torch, gpus_of_this_machine()) or [_none()]
    if time_step is not None:
        for name in names:
            found += [_step(name, time_step), _detection(name)]
    return found


def gpus_of_this_machine() -> list[str]:
    """GPUs that the driver or the system lists, usable by torch or not."""
    named = _asked_driver()
    if named:
        return named
    found = []
    for device in sorted(Path("/sys/bus/pci/devices").glob("*")):
        vendor = _VENDORS.get(_read(device / "vendor"))
        if vendor and _read(device / "class").startswith(_DISPLAY):
            found.append(f"{vendor} GPU")
    return found


def _asked_driver() -> list[str]:
    """Name and driver of each GPU, from ``nvidia-smi``."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    line = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        listed = subprocess.run(line, capture_output=True, timeout=20, encoding="utf-8", errors="replace", check=True)
    except (OSError, subprocess.SubprocessError):
        return ["NVIDIA GPU (nvidia-smi fails)"]
    return [name.strip().replace(", ", ", driver ") for name in listed.stdout.splitlines() if name.strip()]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _unused(torch: Any, gpus: list[str]) -> list[Finding]:
    """Findings on why torch uses none of these GPUs, with advice."""
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        why, advice = "Apple GPU here, but torch cannot use it", "update macOS to 14 or later, and torch"
        return [Finding("device", "gpu", "note", why, advice)]
    if not gpus:
        return []
    why, advice = _reason(torch, gpus)
    return [Finding("device", "gpu", "note", f"{name} is here, but NOT USED: {why}", advice) for name in gpus]


def _reason(torch: Any, gpus: list[str]) -> tuple[str, str]:
    if all(name.startswith("AMD") for name in gpus):
        if torch.version.hip is None:
            return "this torch is not built for AMD", f"install the ROCm build of torch and torchvision: {_INSTALL}"
        return "ROCm finds no device", "install the ROCm driver, and add yourself to the groups render and video"
    if torch.version.cuda is None:
        return "this torch is a CPU build", f"install the CUDA build of torch and torchvision: {_INSTALL}"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        return f"CUDA_VISIBLE_DEVICES is {hidden!r}", "unset CUDA_VISIBLE_DEVICES, or name the GPU in it"
    reason = _start_error(torch)
    if "too old" in reason:
        return (
            f"its driver is too old for CUDA {torch.version.cuda}, which this torch is built for",
            f"update the NVIDIA driver, or install a torch built for an older CUDA: {_INSTALL}",
        )
    if "no NVIDIA driver" in reason or "Found no NVIDIA" in reason:
        return "no NVIDIA driver answers", "install the NVIDIA driver (in a container: run it with access to the GPU)"
    return reason, "restart the machine or container; nvidia-smi shows whether the driver works"


def _start_error(torch: Any) -> str:
    """First sentence of the error when CUDA starts."""
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return str(error).strip().split(". ")[0].splitlines()[0]
    return "CUDA starts but lists no device"


def _none() -> Finding:
    return Finding("device", "gpu", "note", "none; training takes longer and fewer faces fit in an hour")


def _step(name: str, time_step: StepTimer) -> Finding:
    return _measured(
        "one training step", name, lambda: f"{time_step(name):.0f} ms (lightweight, 4 faces of each of two people)"
    )


def _detection(name: str) -> Finding:
    return _measured("one face detection", name, lambda: _detected(name))


def _measured(what: str, name: str, measure: Callable[[], str]) -> Finding:
    """A finding with the measurement; "broken" if the device is listed but fails."""
    try:
        return Finding("speed", f"{what} on {name}", "ok", measure())
    except AssayError as error:
        return Finding("speed", f"{what} on {name}", "note", str(error), error.hint or "")
    except (RuntimeError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        advice = f"use --device cpu; update the driver, or install a torch built for this device: {_INSTALL}"
        return Finding("speed", f"{what} on {name}", "broken", reason, advice)


def _detected(device: str) -> str:
    from shared.actors import cast, portrait
    from shared.faces.finders.finder import make_finder

    finder = make_finder("auto", device=device)
    frame = portrait(cast(1, _FACE_SEED)[0], px=_FRAME_PX).image
    faces, elsewhere = len(finder.find([frame])[0]), _runs_on_the_cpu(finder, device, frame)
    spent = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        finder.find([frame])
        spent.append(1000 * (time.perf_counter() - began))
    where = ", which runs on the CPU" if elsewhere else ""
    seen = "" if faces == 1 else f"; it found {counted(faces, 'face')} instead of one"
    return f"{statistics.median(spent):.0f} ms a frame of {_FRAME_PX} px ({finder.name}{where}){seen}"


def _runs_on_the_cpu(finder: FaceFinder, device: str, frame: Any) -> bool:
    """Whether the finder runs on the CPU; some support nothing else."""
    if not device.startswith("cuda"):
        return False
    import torch

    torch.cuda.reset_peak_memory_stats(device)
    finder.find([frame])
    return torch.cuda.max_memory_allocated(device) == 0
