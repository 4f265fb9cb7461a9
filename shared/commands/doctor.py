"""``assay doctor``: checks of this machine, with advice on what fails."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from shared.commands.doctor_devices import StepTimer, device_findings
from shared.commands.finding import Finding, State
from shared.console import console
from shared.errors import AssayError, WeightsError

TESTED_SYSTEM = ("Linux", "x86_64")
"""System and processor that the tests run on; README says the same."""

_ESSENTIAL = ("torch", "torchvision", "timm", "numpy", "opencv-python", "av", "safetensors", "pyarrow")
_USEFUL = (
    "face-alignment",
    "dlib-bin",
    "face_recognition_models",
    "mtcnn",
    "onnxruntime",
    "accelerate",
    "c2pa-python",
    "ray",
)
_ENCODERS = ("libx264", "libx265", "ffv1", "aac")
_DECODERS = ("h264", "hevc", "vp9", "av1", "mpeg1video", "aac")
_ROOM_GB = 5.0
_EITHER = (("retinaface", "retinaface-slim"), ("yunet", "yunet-2023mar"))


EngineList = Callable[[], list[tuple[str, str, str]]]
"""Lists speech engines: name, voices, and what is missing."""


def doctor_command(time_step: StepTimer, engines: EngineList | None = None) -> Callable[..., None]:
    """The Typer command, given what measures a training step and lists speech engines: both are of other packages."""

    def doctor(
        quick: Annotated[bool, typer.Option("--quick", help="Build no face finder and measure no speed.")] = False,
    ) -> None:
        """Checks versions, devices and their speed, codecs, disk, face finders and weights.

        Ends with 1 when something essential is broken. For an unused GPU it gives the reason and advice.

        Example: assay doctor
        """
        _report(examine(None if quick else time_step, engines))

    return doctor


def _report(findings: list[Finding]) -> None:
    console.table(
        "Assay on this machine",
        ["", "what", "state", "detail"],
        [(finding.area, finding.what, finding.state, finding.detail) for finding in findings],
    )
    for finding in findings:
        if finding.area == "device" and finding.state == "note" and finding.advice:
            console.warn(f"{finding.detail}; {finding.advice}")
    for advice in dict.fromkeys(finding.advice for finding in findings if finding.advice):
        wanted_by = ", ".join(dict.fromkeys(finding.what for finding in findings if finding.advice == advice))
        console.print(f"{wanted_by}: {advice}", wrap=False)
    broken = [finding.what for finding in findings if finding.state == "broken"]
    console.result({"healthy": not broken, "findings": [asdict(finding) for finding in findings]})
    if broken:
        raise AssayError(f"not in working order: {', '.join(broken)}", hint="see the lines above")
    console.print("Everything essential works.")


def examine(time_step: StepTimer | None, engines: EngineList | None = None) -> list[Finding]:
    """All findings, essential ones first. Changes no file and uses no network (but see ``ASSAY_DOWNLOAD``).

    Without ``time_step``, slow checks are skipped.
    """
    checks: list[Callable[[], list[Finding]]] = [
        _system,
        _versions,
        lambda: device_findings(time_step),
        _codecs,
        _disk,
        lambda: _finders(quick=time_step is None),
        _weights,
        lambda: _engines(engines),
    ]
    return [finding for check in checks for finding in check()]


def _system() -> list[Finding]:
    """The system, and whether the tests run on it."""
    name = {"Darwin": "macOS"}.get(platform.system(), platform.system())
    known = f"{name} {platform.machine()}, Python {platform.python_version()}"
    if (name, platform.machine()) == TESTED_SYSTEM:
        return [Finding("system", name, "ok", f"{known}: tested")]
    tested = "not tested; nothing in it is known to need Linux" if name in ("macOS", "Windows") else "not tested"
    return [Finding("system", name, "note", f"{known}: {tested}", "please report what fails")]


def _versions() -> list[Finding]:
    found = []
    for name in ("assay", *_ESSENTIAL, *_USEFUL):
        try:
            found.append(Finding("version", name, "ok", version(name)))
        except PackageNotFoundError:
            state: State = "broken" if name in _ESSENTIAL else "note"
            advice = "" if name == "assay" else f"pip install {name}"
            found.append(Finding("version", name, state, "not installed", advice))
    return found


def _codecs() -> list[Finding]:
    try:
        import av.codec
    except ImportError as error:
        return [Finding("codec", "PyAV", "broken", str(error), "pip install --force-reinstall av")]
    found = []
    for mode, names in (("w", _ENCODERS), ("r", _DECODERS)):
        missing = [name for name in names if not _has_codec(av.codec, name, mode)]
        # Every dataset needs H.264 both ways; the other codecs are optional.
        state: State = "broken" if {"libx264", "h264"} & set(missing) else "note" if missing else "ok"
        what = "encoders" if mode == "w" else "decoders"
        detail = f"without {', '.join(missing)}" if missing else ", ".join(names)
        found.append(Finding("codec", what, state, detail, "pip install --force-reinstall av" if missing else ""))
    return found


def _has_codec(codecs: object, name: str, mode: str) -> bool:
    try:
        codecs.Codec(name, mode)  # type: ignore[attr-defined]
    except ValueError:
        return False
    return True


def _disk() -> list[Finding]:
    from pathlib import Path

    from shared.home import cache_home

    found = []
    for what, place in (("this folder", Path.cwd()), ("cache", cache_home())):
        while not place.exists():
            place = place.parent
        free_gb = shutil.disk_usage(place).free / 1e9
        tight = free_gb < _ROOM_GB
        advice = "free some space; a training run takes a few GB" if tight else ""
        found.append(Finding("disk", what, "note" if tight else "ok", f"{free_gb:.0f} GB free at {place}", advice))
    return found


def _finders(*, quick: bool) -> list[Finding]:
    if quick:
        return []
    from shared.faces.finders.contract import DetectorSettings, detectors, landmarkers
    from shared.faces.finders.finder import load_backends, make_finder
    from shared.faces.identity import embedders

    load_backends()
    # The parts one by one: nearly every finder has the same landmarker, and that takes the longest to read.
    parts: list[tuple[str, str, Callable[[], object]]] = [("finder", "auto", lambda: make_finder("auto"))]
    parts += [
        ("detector", name, partial(detectors.create, name, settings=DetectorSettings())) for name in detectors.names()
    ]
    parts += [("landmarks", name, partial(landmarkers.create, name)) for name in landmarkers.names()]
    parts += [("identity", name, partial(embedders.create, name)) for name in embedders.names()]
    found = []
    with console.progress("building face finders", len(parts), unit="part") as tick:
        for area, name, build in parts:
            found.append(_tried(area, name, build))
            tick()
    return found


def _tried(area: str, name: str, build: Callable[[], object]) -> Finding:
    try:
        return Finding(area, name, "ok", f"works: {getattr(build(), 'name', name)}")
    except AssayError as error:
        # Missing weights have their own lines below; only what is not about them is repeated here.
        return Finding(area, name, "note", str(error), "" if isinstance(error, WeightsError) else error.hint or "")


def _engines(engines: EngineList | None) -> list[Finding]:
    """What can read a text aloud; every engine is optional."""
    return [
        Finding("speech", name, "note" if missing else "ok", missing or f"voices: {voices}")
        for name, voices, missing in (engines() if engines is not None else ())
    ]


def _weights() -> list[Finding]:
    from shared import weights

    found = []
    for name in weights.names():
        status = weights.status(name)
        state: State = "ok" if status.state == "ok" else "note"
        advice = "" if status.state == "missing" and _has_alternative(name) else status.advice
        found.append(Finding("weights", name, state, f"{status.state}, {status.entry.purpose}", advice))
    return found


def _has_alternative(name: str) -> bool:
    """Whether another file for the same purpose is installed."""
    from shared import weights

    groups = [group for group in _EITHER if name in group]
    return any(weights.find(other) is not None for group in groups for other in group if other != name)
