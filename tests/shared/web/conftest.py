"""A work folder with a case, runs, a set and facesets, and its page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from detect.cases.log import Step, read_log
from detect.cases.seal import seal_case
from detect.scoring.regions import Regions, write_regions
from detect.scoring.video import write_frame_scores
from shared.dataset.audit.findings import AuditReport, ProbeFinding
from shared.dataset.audit.identities import IdentityFindings
from shared.dataset.audit.report import as_document
from shared.faces.align import mean_in_crop
from shared.results.scoreboard import AucDifference, Detectability, Row, Scoreboard, ScoredDetector, write_scoreboard
from shared.results.scores import Evaluation, FrameScore
from shared.storage import sha256_file
from shared.types import ClipId
from shared.video.images import encode_png
from shared.web.app import Page, make_page
from shared.web.config import ServeConfig
from tests.factories import write_clip

PORT = 8431
HOST = f"127.0.0.1:{PORT}"
OLD = Path(__file__).parents[2] / "data" / "old"
FRAMES, SIDE = 30, 96


def picture(index: int, side: int = SIDE) -> np.ndarray:
    """A smooth picture by which a frame is known again after compression."""
    y, x = np.mgrid[0:side, 0:side]
    planes = (x + index * 6, y + index * 4, x // 2 + y // 2 + index * 5)
    return np.stack([40 + plane % 160 for plane in planes], axis=-1).astype(np.uint8)


def number_of_picture(image: np.ndarray, frames: int = FRAMES) -> int:
    """Which of the pictures this is."""
    side = image.shape[0]
    return min(range(frames), key=lambda index: float(np.abs(picture(index, side) - image.astype(float)).mean()))


def write_case(
    folder: Path, clip: Path, *, verdict: str = "inconclusive", threshold: float | None = 0.5, sound: str = ""
) -> Path:
    """A signed case about ``clip``, with one face scored in every fifth frame."""
    (folder / "evidence").mkdir(parents=True)
    points = mean_in_crop(48, "whole").astype(np.float32) + np.float32([20, 22])
    box = (20.0, 22.0, 68.0, 70.0)
    name = ClipId("suspect", "unknown", "x")
    scores = [FrameScore(name, at, at / 25, 0, -1 + at / 10, box, points) for at in range(0, FRAMES, 5)]
    write_frame_scores(folder / "frames.parquet", scores)
    report = {
        "path_name": clip.name, "verdict": verdict, "reason": "The interval holds the threshold.",
        "sha256_intake": sha256_file(clip), "size_bytes": clip.stat().st_size,
        "score": {"logit": 0.25, "frames_read": FRAMES, "frames_scored": len(scores), "tracks": 1},
        "detector": {"name": "toy", "input": "64 px, framing whole"},
        "evidence": [{"name": "timing", "finding": "a gap after frame 7", "odd": True}],
    }  # fmt: skip
    if sound:
        report["sound"] = {
            "name": "aasist",
            "verdict": sound,
            "reason": "Parts lie above <the> threshold.",
            "kind": "speech",
        }
    (folder / "report.json").write_text(json.dumps(report))
    (folder / "report.html").write_text("<!DOCTYPE html><h1>Inspection</h1><script>alert(1)</script>")
    (folder / "custody.json").write_text("{}")
    crop = encode_png(picture(5, 64))
    (folder / "evidence" / "face-00-track-0-frame-5.png").write_bytes(crop)
    (folder / "evidence" / "face-00-track-0-frame-5-heat.png").write_bytes(crop)
    detector = {} if threshold is None else {"threshold": threshold}
    times = ("2026-12-01T10:00:00+00:00", "2026-12-01T10:00:01+00:00")
    seal_case(folder, [Step("intake", *times, {"file": str(clip)}), Step("detector", *times, detector)])
    return folder


def write_regions_of(case: Path) -> Path:
    """Maps of the region of every face of a case, the upper left quarter of the crop, signed with the rest."""
    table = pq.read_table(case / "frames.parquet")
    scores = [
        FrameScore(ClipId("a", "b", "c"), frame, 0.0, 0, 0.0, (0.0, 0.0, 1.0, 1.0))
        for frame in table["frame"].to_pylist()
    ]
    maps = np.zeros((len(scores), 16, 16), np.uint8)
    maps[:, :8, :8] = 255
    write_regions(case / "regions.parquet", scores, Regions(np.arange(len(scores)), maps))
    for name in ("case.json", "case.sha256"):
        (case / name).unlink()
    steps = read_log((case / "log.jsonl").read_bytes())[0]
    seal_case(case, steps)
    return case


def make_work(root: Path) -> Path:
    """A work folder: a case about a clip of 30 frames, and the runs, the set and the facesets of an old version."""
    for name in ("set", "faces", "swapper"):
        shutil.copytree(OLD / name, root / name)
    clip = write_clip(root / "suspect.mp4", [picture(index) for index in range(FRAMES)])
    write_case(root / "cases" / "one", clip)
    write_case(root / "cases" / "two", clip, verdict="fake")
    return root


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_work(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def page(work: Path) -> Page:
    return make_page(work, ServeConfig(max_upload_gb=0.001), port=PORT)


@pytest.fixture(scope="module")
def client(page: Page) -> Iterator[TestClient]:
    """A browser that has shown the token; its address is on the loopback."""
    base = f"http://{HOST}"
    with (
        pytest.MonkeyPatch.context() as patch,
        TestClient(page.app, base_url=base, client=("127.0.0.1", 50000), follow_redirects=False) as opened,
    ):
        patch.setattr("shared.web.found._FRESH_SECONDS", 0.0)
        opened.headers["Origin"] = base
        assert opened.get("/", params={"token": page.access.token}).status_code == 303
        yield opened


def key_named(client: TestClient, address: str, rows: str, name: str) -> str:
    """The key of the row of a list whose place or name is ``name``."""
    return next(row["key"] for row in client.get(address).json()[rows] if name in (row.get("place"), row.get("name")))


def write_audit(folder: Path, dataset: str, *, shortcut: bool = True, manifest: str = "") -> Path:
    """An audit of a set, as ``assay dataset audit`` writes it, without its plots."""
    background = ProbeFinding(
        "background", "background", "all clips", 0.97, 0.91, 1.0, 20, 20, 9, "shortcut",
        ("mean of blue",), "film real and fake in one place",
    )  # fmt: skip
    face = ProbeFinding("face", "face", "all clips", 0.8, 0.71, 0.9, 20, 20, 9, "signal")
    sound = ProbeFinding("audio", "sound", "all clips", None, None, None, 0, 0, 0, "not measured", note="no sound")
    report = AuditReport(
        dataset, 40, "gradient boosting in 5 folds", "as the set labels them",
        (*([background] if shortcut else []), face, sound), IdentityFindings(note="left out"), (),
        shortcuts=("background (all clips): AUC 0.970 [0.910, 1.000].",) if shortcut else (), leaks=(),
        settings={"limit": 0.7}, manifest_sha256=manifest,
    )  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "audit.json").write_text(json.dumps(as_document(report)))
    (folder / "audit.html").write_text("<!DOCTYPE html><h1>Audit</h1><script>alert(1)</script>")
    return folder


def write_board(folder: Path, dataset: dict[str, str]) -> Path:
    """A scoreboard of two detectors, as ``assay score`` writes it."""

    def cell(name: str, auc: float) -> Detectability:
        values = [
            Evaluation(metric, auc, "clip", 9, 9, auc - 0.1, min(1.0, auc + 0.1), 5) for metric in ("auc", "tpr@fpr1%")
        ]
        return Detectability(name, tuple(values), Evaluation("scored", 1.0, "clip", 0, 9))

    cells = (cell("assay", 0.81), cell("toy", 0.62))
    rows = (Row("total", "all fakes", 9, 9, (), cells), Row("manipulation", "swap-<b>", 9, 9, (), cells))
    difference = AucDifference("assay", "toy", 0.19, 18, 0.02, 0.31, 0.03)
    detectors = (ScoredDetector("assay", {}, "", ("It knows <these> people.",)), ScoredDetector("toy", {}))
    board = Scoreboard(
        dataset, "test", (), detectors, rows, None, {}, {}, (difference,), "5 people", "target", ("Fewer than ten.",)
    )
    folder.mkdir(parents=True)
    write_scoreboard(folder, board)
    return folder
