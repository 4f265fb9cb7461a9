"""Makes eight files, inspects each, and keeps what their reports mean.

    python -m tests.golden_reports tests/data/golden_reports.json        # written anew: look at its diff
    python -m tests.golden_reports OUT.json DIR                          # the same; files and cases stay in DIR

``detect/inspection/test_golden_reports.py`` holds what it gives against that file. The words of a report may change.
Kept are its verdict, propositions, which faces lie above the threshold, which parts of a timeline stand out, which
findings there are and which differ, and what credentials and marks say (:func:`meaning`).

Procedural actors, and the swapper and the detector in the package. The swapper's decoder gives each actor a face much
like their own, pasted as a box. The detector is a copy that counts as validated on such clips: what a report says
outside a validated domain has tests of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from shared.marking.payload import Payload

SECONDS, LONG_SECONDS = 2.4, 15.0
FORGED_SECONDS = (5.0, 10.0)
"""The middle third of the partial fake."""
PX, RATE, SHOTS = 256, 25, 30
"""Side of the frames, frames a second, and frames that are rendered; they are shown forwards and backwards."""


def make_files(folder: Path) -> dict[str, Path]:
    """The eight files by name, in ``folder``."""
    from shared.actors import cast, perform
    from shared.marking.files import mark_file
    from shared.video.images import encode_jpeg

    ann, bob = (list(perform(actor, frames=SHOTS, px=PX, seed=3)) for actor in cast(2, 5))
    ann, bob = ([*shots, *shots[-2:0:-1]] for shots in (ann, bob))
    images, marks = [shot.image for shot in ann], [shot.landmarks for shot in ann]
    pair = [np.hstack([one, other.image]) for one, other in zip(images, bob, strict=True)]
    real = _film(folder / "real.mp4", images, marks, SECONDS)
    long = _film(folder / "long.mp4", images, marks, LONG_SECONDS)
    both = _film(folder / "both.mp4", pair, marks, SECONDS)  # the landmarks of one: the other is left alone
    files = {"real": real, "photograph": folder / "photograph.jpg"}
    files["photograph"].write_bytes(encode_jpeg(images[0], 92))
    files["fake"] = _swapped(real, folder / "fake.mp4")
    files["fake, coded twice more"] = _coded_again(_coded_again(files["fake"], 26), 22)
    start, stop = (round(each * RATE) for each in FORGED_SECONDS)
    files["fake in its middle third"] = _swapped(long, folder / "part.mp4", segments=((start, stop),))
    files["two people, one forged"] = _swapped(both, folder / "two.mp4")
    files["credentials, valid"] = folder / "signed.mp4"
    mark_file(real, files["credentials, valid"])
    files["credentials, broken"] = _broken(files["credentials, valid"], folder / "broken.mp4")
    return files


def _film(path: Path, images: Sequence[np.ndarray], landmarks: Sequence[np.ndarray], seconds: float) -> Path:
    """A clip that shows ``images`` over and over, with the landmarks of one person beside it."""
    from tests.factories import write_clip, write_landmarks

    count = round(seconds * RATE)
    write_landmarks(path.with_suffix(".landmarks.parquet"), dict(enumerate(islice(cycle(landmarks), count))))
    return write_clip(path, islice(cycle(images), count))


def _swapped(target: Path, out: Path, **settings: Any) -> Path:
    """A fake of ``target``, as ``assay forge swap --out FILE`` makes it: signed, and marked imperceptibly."""
    from forge.models.shipped import BASE_FOLDER
    from tests.same_outputs import run

    config = out.with_suffix(".toml")
    config.write_text("".join(f"{name} = {[list(part) for part in value]}\n" for name, value in settings.items()))
    sidecar = f"sidecar:{target.with_suffix('.landmarks.parquet')}"
    run("forge", "swap", target, "--run", BASE_FOLDER, "--source", "actors", "--target-identity", "ann", "--rights",
        "synthetic", "--finder", sidecar, "--paste", "box", "--config", config, "--device", "cpu",
        "--out", out)  # fmt: skip
    return out


def _coded_again(path: Path, crf: int) -> Path:
    from shared.video import Encoding, VideoReader, VideoWriter

    out = path.with_name(f"{path.stem}-{crf}.mp4")
    with VideoReader(path) as reader, VideoWriter.like(reader.info, out, encoding=Encoding(crf=crf)) as writer:
        for frame in reader:
            writer.write(frame.image, frame.time)
    return out


def _broken(signed: Path, out: Path) -> Path:
    """A copy of ``signed`` with one byte of its coded pictures turned."""
    content = bytearray(signed.read_bytes())
    content[content.index(b"mdat") + 2_000] ^= 1
    out.write_bytes(content)
    return out


def validated_detector(folder: Path) -> Path:
    """A copy of the detector in the package that counts as validated on any clip.

    Its threshold lies between the real files and the fakes here.
    """
    from detect.calibration.domain import read_domain, write_domain
    from detect.models.shipped import shipped_folder

    out = shutil.copytree(shipped_folder(), folder / "assay")
    domain = read_domain(out)
    assert domain is not None
    wide = {name: replace(each, low=0.0, high=1e9) for name, each in domain.ranges.items()}
    write_domain(out, replace(domain, ranges=wide))
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    config["assay"]["operating_point"]["logit"] = -0.6
    (out / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return out


def inspect_all(folder: Path) -> dict[str, dict[str, Any]]:
    """The meaning of the report on each file; all that is made stays in ``folder``."""
    from detect.inspection.evidence.found import EvidenceConfig
    from detect.inspection.inspect import inspect_file
    from detect.models.checkpoint import load_detector
    from tests.same_outputs import one_thread

    with one_thread():
        with patch.object(Payload, "of", _same_mark):
            files = make_files(folder)
        detector = validated_detector(folder)
        _, facts = load_detector(detector)
        found = {}
        for name, path in files.items():
            case = folder / f"case {name}"
            inspect_file(
                path, detector, case, device="cpu", isolated=False, faces_shown=1,
                evidence=EvidenceConfig(faces=20, landmark_frames=60, rounds=200),
            )  # fmt: skip
            report = json.loads((case / "report.json").read_text(encoding="utf-8"))
            found[name] = meaning(report, facts.operating_point.logit)
    return found


def _same_mark(kind: str, digest: str) -> Payload:
    """A payload of that kind, whoever signs: marks move a detector's score, and the report is to be the same."""
    del digest
    return Payload(kind, "5eed05")


def meaning(report: dict[str, Any], threshold: float) -> dict[str, Any]:
    """What a report says, without its words and without the last digits of its numbers."""
    findings = {each["name"]: each for each in report["evidence"]}
    calibrated, score = report["calibrated"], report["score"]["logit"]
    credentials = findings["content credentials (C2PA)"]["details"]
    return {
        "verdict": report["verdict"],
        "score": _side(score, threshold),
        "propositions": None if calibrated is None else calibrated["propositions"],
        "the ratio holds": None if calibrated is None else calibrated["holds"],
        "the ratio supports": None if calibrated is None else _supported(calibrated["llr"]),
        "outside the domain": [each["fact"] for each in report["outside"]],
        "faces": [_side(each["logit"], threshold) for each in report["tracks"]],
        "parts that stand out": _stretches(findings),
        "findings": sorted(findings),
        "differ": sorted(name for name, each in findings.items() if each["odd"]),
        "credentials": {key: credentials.get(key) for key in ("present", "valid", SAYS_FAKE)},
        "marks": {
            name: {key: each["details"].get(key) for key in ("read", SAYS_FAKE)}
            for name, each in findings.items() if name.startswith("imperceptible mark")
        },
    }  # fmt: skip


SAYS_FAKE = "says that a model had a hand in it"


def _supported(llr: float) -> str:
    return "neither clearly" if abs(llr) < 0.75 else "forged" if llr > 0 else "not forged"


def _side(logit: float | None, threshold: float) -> str:
    return "none" if logit is None else "above" if logit >= threshold else "below"


def _stretches(findings: dict[str, Any]) -> list[list[int]]:
    """Face, first and last second (whole ones) of the parts of the timeline that stand out."""
    details = findings.get("stretches of the score", {"details": {}})["details"]
    numbers = sorted({key.split(":")[0] for key in details if ":" in key})
    return [
        [details[f"{each}: face"], *(round(details[f"{each}: {key}"]) for key in ("from (s)", "to (s)"))]
        for each in numbers
    ]


def main(arguments: list[str]) -> None:
    """See the module's text."""
    out = Path(arguments[0]).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["ASSAY_HOME"] = str(Path(scratch) / "home")
        folder = Path(arguments[1]).resolve() if len(arguments) > 1 else Path(scratch) / "made"
        folder.mkdir(parents=True)
        out.write_text(json.dumps(inspect_all(folder), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
