"""Time of ``assay inspect`` with its file decoded in a process of its own, against all of it in one process."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.schema import Measurement
from detect.inspection.inspect import inspect_file
from detect.models import build_detector
from detect.models.checkpoint import DetectorFacts, save_detector
from shared.device import seed_everything


def measure(clip: Path, work: Path, *, backbone: str, finder: str, device: str, repeats: int) -> list[Measurement]:
    """Seconds of both ways, taken in turn after one unmeasured round, and their ratios; work is written to ``work``.

    Raises:
        MediaError: the clip cannot be read.
    """
    seed_everything(0)
    model = build_detector(backbone)  # without trained weights: speed does not depend on them
    detector = save_detector(model, work / "detector", DetectorFacts(model.spec), card="# untrained\n")
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for round_number in range(repeats + 1):
        for isolated, taken in seconds.items():
            began = time.perf_counter()
            inspect_file(
                clip,
                detector,
                work / f"case-{isolated}-{round_number}",
                device=device,
                finder=finder,
                isolated=isolated,
            )
            if round_number:
                taken.append(time.perf_counter() - began)
    ratios = [apart / together for apart, together in zip(seconds[True], seconds[False], strict=True)]
    return [
        Measurement.of("inspection, decoded in a child process", "s", seconds[True], better="lower"),
        Measurement.of("inspection in one process", "s", seconds[False], better="lower"),
        Measurement.of("with the child process : without", "ratio", ratios, better="lower", target=1.25),
    ]
