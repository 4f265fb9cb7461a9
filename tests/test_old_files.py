"""Files of an earlier Assay are read by this one.

``data/old`` was written by the command line of commit 015ddaf on procedural actors, as small as it goes: facesets of
two people, a run of a swapper (``lightweight`` without masks, 40 steps, checkpoint and export), a set of two real
clips and two fakes with masks, sealed by a key that nobody has any more, the run of a detector (``meso4``,
calibrated), a case, and a folder of swapped pictures. Events, previews and locks were taken out. It is never made
anew: a later Assay that cannot read it has broken something.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import av
import pyarrow.parquet as pq
import pytest

from shared.dataset import verify_dataset
from tests.same_outputs import one_thread, run

pytestmark = pytest.mark.slow

OLD = Path(__file__).parent / "data" / "old"
ANN, BOB = "actor-50000", "actor-50057"
REAL = f"set/media/real/{ANN}@h264-crf30.mp4"
FAKE = f"set/media/lightweight/{ANN}+{BOB}.mp4"
SIGNER = "3febca72f973ae28df64a19baa1ee7176e0d29fa252c300ac1f683528613f7fc"
CPU = ("--device", "cpu")
EXACT = (*CPU, "--precision", "float32")


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the old files as the current folder, and a user who never signed anything."""
    shutil.copytree(OLD, tmp_path / "old")
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "old")
    with one_thread():
        yield tmp_path / "old"


def _document(path: str) -> dict:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def _lines(path: str) -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def _swap(target: str, swapper: str, *more: str) -> dict:
    return run("forge", "swap", target, "--run", swapper, "--source", BOB, "--target-identity", ANN, "--rights",
               "synthetic", "--finder", "dlib", *CPU, *more)  # fmt: skip


def test_the_old_files_are_small_and_name_no_machine():
    files = [path for path in OLD.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1_500_000
    for path in files:
        if path.suffix in (".json", ".jsonl", ".toml", ".md", ".sig"):
            assert not any(place in path.read_text(encoding="utf-8") for place in ("/tmp/", "/home/", "/root", "/srv/"))


def test_a_faceset_is_read_and_has_the_digest_that_its_run_names(old):
    inputs = _document("swapper/run.json")["inputs"]
    for person in (ANN, BOB):
        shown = run("faces", "show", f"faces/{person}", "--deep", "--sheet", "sheet.png")
        assert (shown["identity"], shown["kept"], shown["px"]) == (person, 10, 32)
        assert shown["digest"] == inputs[person]


def test_a_set_is_as_it_was_sealed_and_its_signer_unknown_until_accepted(old):
    [problem] = verify_dataset(old / "set")
    assert (problem.severity, problem.kind) == ("error", "signer")
    assert SIGNER in problem.message
    with pytest.raises(RuntimeError, match="ended with 1"):
        run("dataset", "verify", "set")
    run("dataset", "identity", "--trust", SIGNER)
    found = run("dataset", "verify", "set")
    assert (found["ok"], found["problems"], found["fingerprint"]) == (True, [], SIGNER)


def test_a_set_is_shown_as_it_was(old):
    shown = run("dataset", "show", "set")
    assert (shown["name"], shown["clips"], shown["frames"]) == ("old", 4, 40)
    assert {(each["split"], each["label"], each["clips"]) for each in shown["counts"]} == {
        (split, label, 1) for split in ("train", "val") for label in ("real", "fake")
    }


def test_a_set_takes_another_clip_and_stays_sound(old):
    again = ("dataset", "add", "set", REAL, "--identity", ANN, "--rights", "synthetic", "--name", "again")
    with pytest.raises(RuntimeError, match="ended with 1"):
        run(*again)
    run("dataset", "identity", "--trust", SIGNER)
    run(*again)
    run("dataset", "split", "set", "--group", f"train={ANN},{BOB}", "--group", "val=actor-50065,actor-50006")
    found = run("dataset", "verify", "set")
    assert (found["ok"], found["problems"]) == (True, [])
    assert run("dataset", "show", "set")["clips"] == 5


def test_a_swapper_swaps_from_its_run_and_from_its_export(old):
    [recorded, *_] = [line for line in _lines("set/manifest.jsonl") if line["source_identity"] == BOB]
    shutil.copytree("swapper/swapper", "exported")
    for swapper, out in (("swapper", "from-run"), ("exported", "from-export")):
        assert _swap(REAL, swapper, "--out", out)["faked"] == [[0, 10]]
        [line] = _lines(f"{out}/manifest.jsonl")
        assert line["swapper"] == recorded["swapper"]
        assert line["architecture"] == recorded["architecture"] == "lightweight"
        assert run("dataset", "verify", out)["ok"]


def test_a_folder_of_swapped_pictures_is_known_and_replaced(old):
    before = _document("pictures/frames.json")["statement"]
    Path("stills").mkdir()
    with av.open(REAL) as container:
        for number, frame in zip(range(2), container.decode(video=0), strict=False):
            frame.to_image().save(f"stills/{number:03d}.png")
    made = _swap("stills", "swapper", "--frames", "--out", "pictures", "--erode", "0.22")
    assert (made["frames"], made["faked"]) == (2, [[0, 2]])
    after = _document("pictures/frames.json")["statement"]
    assert before["files"].keys() == after["files"].keys()
    assert before["clip"].keys() <= after["clip"].keys()
    assert after["clip"]["swapper"] == before["clip"]["swapper"]


def test_a_faceset_is_redrawn(old):
    run("forge", "redraw", f"faces/{ANN}", "--run", "swapper", "--source", BOB, "--out", "redrawn", *CPU)
    assert run("faces", "show", "redrawn", "--deep")["kept"] == 10


def test_the_training_of_a_swapper_goes_on(old):
    before = _lines("swapper/metrics.jsonl")
    people = (f"faces/{ANN}", f"faces/{BOB}")
    done = run("forge", "train", *people, "--run", "swapper", "--config", "swapper/config.toml", "--steps", "44", *CPU)
    assert done["steps"] == 44
    after = _lines("swapper/metrics.jsonl")
    assert after[: len(before)] == before
    assert [path.name for path in sorted(Path("swapper/checkpoints").iterdir())] == [
        "step-00000040.safetensors",
        "step-00000044.safetensors",
    ]
    assert "steps = 44" in Path("swapper/swapper/swapper.toml").read_text(encoding="utf-8")


def test_the_training_of_a_swapper_refuses_other_settings(old):
    with pytest.raises(RuntimeError, match="ended with 1"):
        run("forge", "train", f"faces/{ANN}", f"faces/{BOB}", "--run", "swapper", "--config", "swapper/config.toml",
            "--batch", "3", *CPU)  # fmt: skip


def test_the_training_of_a_detector_is_found_to_be_done(old):
    before = Path("detector/detector/model.safetensors").read_bytes()
    done = run("detect", "train", "set", "--run", "detector", "--config", "detector/config.toml", *CPU)
    assert done["steps"] == 40
    assert Path("detector/detector/model.safetensors").read_bytes() == before


def test_a_detector_is_evaluated_with_its_calibration(old):
    found = run("detect", "evaluate", "detector", "set", "--split", "val", "--frames", "4", "--out", "evaluation",
                "--replicates", "20", *EXACT)  # fmt: skip
    weights = hashlib.sha256(Path("detector/detector/model.safetensors").read_bytes()).hexdigest()
    assert (found["detector"]["network"], found["detector"]["weights_sha256"]) == ("meso4", weights)
    lines = _lines("evaluation/scores.jsonl")
    assert sorted(line["label"] for line in lines) == ["fake", "real"]
    assert all(0 <= line["probability"] <= 1 for line in lines)


def test_a_file_is_inspected_as_it_was(old):
    before = _document("case/report.json")
    Path("case.toml").write_text("faces_shown = 1\nblock_seconds = 0.1\n", encoding="utf-8")
    run("inspect", FAKE, "--detector", "detector", "--out", "case", "--config", "case.toml", "--force", *CPU)
    after = _document("case/report.json")
    assert before.keys() <= after.keys()
    for key in ("sha256_intake", "size_bytes", "verdict", "domain"):
        assert after[key] == before[key], key
    assert set(before["analysed"]) <= set(after["analysed"])
    assert after["score"]["logit"] == pytest.approx(before["score"]["logit"], abs=0.05)
    assert after["calibrated"]["left_out"] == before["calibrated"]["left_out"]
    old_scores, scores = (pq.read_table(place / "case" / "frames.parquet") for place in (OLD, old))
    assert set(old_scores.column_names) <= set(scores.column_names)
    assert scores.column("frame").to_pylist() == old_scores.column("frame").to_pylist()


def test_fakes_are_measured(old):
    found = run("forge", "quality", "set", "--faces", f"faces/{BOB}", "--faces", f"faces/{ANN}", "--run", "swapper",
                "--finder", "dlib", *CPU)  # fmt: skip
    assert [each["clip"] for each in found["quality"]] != []
    assert "self_ssim" in {each["metric"] for each in found["summary"]}
