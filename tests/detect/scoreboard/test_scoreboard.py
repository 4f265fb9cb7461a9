from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from detect.calibration.maps import Calibration, write_calibration
from detect.config.scoring import EvaluateConfig
from detect.config.training import TrainConfig
from detect.models.training_record import TrainingRecord
from detect.scoreboard.board import check_board_folder, make_scoreboard, records_to_score, save_scoreboard
from detect.scoreboard.scores import Scores, Wanted, scores_key, scores_of, wanted_detectors
from detect.training.train import train_detector
from shared.cli import run
from shared.dataset import DatasetFolder
from shared.errors import CheckpointError, UsageError
from shared.results.quality import QualityReport, Value
from shared.results.scoreboard import FORMAT, read_scoreboard, write_scoreboard
from shared.types import ClipRecord
from tests.factories import clip_record

CONFIG = EvaluateConfig(replicates=100, split="all")


def some_records() -> list[ClipRecord]:
    people = ("ann", "bob", "cid", "dan")
    return [clip_record(p, kind, rendition="c23") for kind in (None, "crude", "fine") for p in people]


def scores(name: str, logits: Sequence[float | None], detector: str = "csv:x") -> Scores:
    return Scores(Wanted(name, detector), tuple(logits), {"name": name}, None, (), TrainingRecord(), len(logits))


@pytest.fixture
def table(tmp_path: Path) -> str:
    """A reference that exists, for detectors that are never run."""
    (tmp_path / "scores.csv").write_text("clip,score\n")
    return f"csv:{tmp_path / 'scores.csv'}"


SHARP = [-2.0, -1.0, -1.5, -0.5, 3.0, 4.0, 2.0, 5.0, 1.0, -1.2, 0.5, None]
BLUNT = [0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0]


def board_of(table: str, **settings: Any):
    quality = QualityReport(
        clips={f"set/{kind}/{p}": {"mask_ssim": Value(10 * ssim, 10, "frame")}
               for kind, ssim in (("crude", 0.5), ("fine", 0.9)) for p in ("ann", "bob")},
        units={"mask_ssim": "SSIM"},
        better={"mask_ssim": "higher"},
    )  # fmt: skip
    both = [scores("sharp", SHARP, table), scores("blunt", BLUNT, table)]
    return make_scoreboard(some_records(), both, quality, CONFIG, dataset={"name": "set"}, **settings)


def test_rows_hold_each_manipulation_against_all_real_clips(table: str):
    board = board_of(table)
    assert [(row.by, row.name, row.num_real, row.num_fake) for row in board.rows] == [
        ("total", "all fakes", 4, 8),
        ("manipulation", "crude", 4, 4),
        ("manipulation", "fine", 4, 4),
    ]
    crude, fine = board.rows[1].cell("sharp"), board.rows[2].cell("sharp")
    assert crude.find("auc").value == 1.0
    # Of the three scored fakes 1.0 and 0.5 lie above all four reals, -1.2 above -2.0 and -1.5.
    assert fine.find("auc").value == pytest.approx((4 + 2 + 4) / 12)
    assert fine.find("tpr@fpr1%").value == pytest.approx(2 / 3)
    assert fine.scored.value == 0.75
    assert fine.missed() == pytest.approx(0.5)  # two of four: one is not caught, one has no score
    assert crude.missed() == 0.0
    assert fine.find("auc").low is not None
    assert fine.find("auc").clusters == 4
    assert fine.llr is None
    assert board.rows[0].cell("nobody") is None


def test_quality_stands_beside_and_one_measure_is_shown(table: str):
    board = board_of(table)
    assert board.measure == "mask_ssim"
    assert [row.measure("mask_ssim").value for row in board.rows] == pytest.approx([0.7, 0.5, 0.9])
    assert board.rows[1].measure("seam_ratio") is None
    assert "Quality is of 4 of 8 fakes." in board.notes
    with pytest.raises(UsageError, match="seam"):
        board_of(table, measure="seam_ratio")


def test_detectors_are_compared_on_clips_that_both_scored(table: str):
    (difference,) = board_of(table).differences
    assert (difference.first, difference.second, difference.clips) == ("sharp", "blunt", 11)
    assert difference.difference > 0.2
    assert difference.low <= difference.difference <= difference.high


def test_renditions_are_rows_where_there_are_several(table: str):
    records = [*some_records(), *(clip_record("ann", made, name="ann@c40", rendition="c40") for made in (None, "fine"))]
    found = make_scoreboard(
        records, [scores("sharp", [*SHARP, -3.0, 3.0], table)], QualityReport(), CONFIG, dataset={"name": "set"}
    )
    assert [(row.name, row.num_real, row.num_fake) for row in found.part("rendition")] == [("c23", 4, 8), ("c40", 1, 1)]
    assert found.measure is None
    assert found.differences == ()


def test_a_set_of_one_class_gives_shares_and_says_why_there_is_no_auc(table: str):
    fakes = [one for one in some_records() if one.label == "fake"]
    found = make_scoreboard(
        fakes, [scores("sharp", SHARP[4:], table), scores("blunt", BLUNT[4:], table)], QualityReport(), CONFIG,
        dataset={"name": "set"},
    )  # fmt: skip
    assert found.rows[1].cell("sharp").find("auc") is None
    assert found.rows[1].cell("sharp").missed() is None
    assert found.differences == ()
    assert any("one class" in note for note in found.notes)


def test_llrs_are_given_where_the_calibration_fits(
    tmp_path: Path, make_calibration: Callable[[], Calibration], table: str
):
    fitted = dataclasses.replace(make_calibration(), aggregate=None, weights_sha256="b" * 64)
    write_calibration(table, fitted)  # type: ignore[arg-type]
    sharp = dataclasses.replace(scores("sharp", SHARP, table), facts={"sha256": "b" * 64})
    other = dataclasses.replace(scores("other", SHARP, table), facts={"sha256": "c" * 64})
    board = make_scoreboard(some_records(), [sharp, other], QualityReport(), CONFIG, dataset={"name": "set"})
    crude = board.rows[1].cell("sharp").llr
    # The toy calibration divides by ln 10 and stops at 1.5.
    assert crude.median == pytest.approx(3.0 / np.log(10))
    assert crude.high == 1.5
    assert crude.misleading == 0.0
    assert board.rows[2].cell("sharp").llr.misleading == pytest.approx(1 / 3)
    assert board.rows[1].cell("other").llr is None
    assert "another detector" in board.detectors[1].calibrated
    assert "toy" in board.detectors[0].calibrated


def test_a_scoreboard_is_written_and_read_back_with_its_picture(tmp_path: Path, table: str):
    board = board_of(table)
    document, picture = save_scoreboard(tmp_path / "board", board)
    assert read_scoreboard(document) == board
    assert read_scoreboard(document.parent) == board
    pixels = cv2.imread(str(picture))
    assert pixels.shape[0] > 300
    assert pixels.shape[1] > 900
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
    bare = dataclasses.replace(board, measure=None)
    assert save_scoreboard(tmp_path / "bare", bare)[1].stat().st_size > 10_000


@pytest.mark.parametrize("text", ["{", "{}", "[]"])
def test_other_documents_are_no_scoreboard(tmp_path: Path, text: str):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(UsageError, match="damaged or another kind") as caught:
        read_scoreboard(tmp_path / "s.json")
    assert "scoreboard.json" in str(caught.value.hint)
    with pytest.raises(UsageError, match="scoreboard"):
        read_scoreboard(tmp_path)


def test_a_scoreboard_of_another_format_is_refused(tmp_path: Path, table: str):
    path = write_scoreboard(tmp_path, dataclasses.replace(board_of(table), format=FORMAT + 1))
    with pytest.raises(UsageError, match="format"):
        read_scoreboard(path)


def test_detectors_get_names_of_their_own(tmp_path: Path):
    for run_name in ("a/det", "b/det", "c"):
        (tmp_path / run_name).mkdir(parents=True)
    (tmp_path / "x.csv").write_text("clip,score\n")
    texts = [str(tmp_path / "a/det"), str(tmp_path / "b/det"), f"mine={tmp_path / 'c'}",
             f"csv:{tmp_path / 'x.csv'}?score=logit"]  # fmt: skip
    assert [one.name for one in wanted_detectors(texts)] == ["det", "b/det", "mine", "x.csv"]
    assert wanted_detectors(texts)[2].detector == str(tmp_path / "c")
    with pytest.raises(UsageError, match="two detectors"):
        wanted_detectors(["a=x", "a=y"])
    with pytest.raises(UsageError, match="no detector"):
        wanted_detectors([])


def test_nothing_but_a_scoreboard_is_written_over(tmp_path: Path):
    assert check_board_folder(tmp_path / "new") == tmp_path / "new"
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="no scoreboard"):
        check_board_folder(tmp_path)


def test_blocks_of_scores_are_kept_and_gone_on_with(toy_set: Path, tmp_path: Path):
    """Stopped in the middle, what was written stays, and a second call asks for the rest alone."""
    folder = DatasetFolder.open(toy_set)
    records = folder.records()
    asked: list[int] = []
    code = tmp_path / "scorer.py"
    code.write_text("def predict(path):\n    return 0.9 if '+' in path or 'faked' in path else 0.1\n")
    wanted = Wanted("mine", f"python:{code}")

    def scorer(*arguments: Any) -> Any:
        from detect.scoring.dataset import score_dataset

        asked.append(len(arguments[2]))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return score_dataset(*arguments)

    with pytest.raises(KeyboardInterrupt):
        scores_of(wanted, folder, records, CONFIG, tmp_path / "c", block=7, scorer=scorer)
    found = scores_of(wanted, folder, records, CONFIG, tmp_path / "c", block=7, scorer=scorer)
    assert asked == [7, 7, 7, len(records) - 14]
    assert found.fresh == len(records) - 7
    assert [logit > 0 for logit in found.logits] == [one.label == "fake" for one in records]
    assert found.aggregate is None
    again = scores_of(wanted, folder, records, CONFIG, tmp_path / "c", scorer=scorer)
    assert (again.logits, again.fresh, len(asked)) == (found.logits, 0, 4)
    renamed = scores_of(dataclasses.replace(wanted, name="yours"), folder, records, CONFIG, tmp_path / "c")
    assert (renamed.logits, renamed.fresh) == (found.logits, 0)
    changed = [dataclasses.replace(records[0], sha256="f" * 64), *records[1:]]
    with pytest.raises(AssertionError):
        scores_of(wanted, folder, changed, CONFIG, tmp_path / "c", scorer=_refuse)
    assert scores_of(wanted, folder, records, CONFIG, tmp_path / "c", fresh=True).fresh == len(records)
    code.write_text(code.read_text() + "# changed\n")
    assert scores_key(wanted, CONFIG) not in {path.name for path in (tmp_path / "c").iterdir()}


def _refuse(*_arguments: Any) -> Any:
    raise AssertionError("nothing should be scored")


def test_a_function_that_fails_on_a_whole_block_is_counted_once_it_has_scored_others(toy_set: Path, tmp_path: Path):
    folder = DatasetFolder.open(toy_set)
    records = sorted(folder.records(), key=lambda one: one.label, reverse=True)  # real clips first
    code = tmp_path / "scorer.py"
    code.write_text("def predict(path):\n    assert 'faked' not in path, 'a fake'\n    return 0.2\n")
    wanted = Wanted("mine", f"python:{code}")
    half = sum(one.label == "real" for one in records)
    found = scores_of(wanted, folder, records, CONFIG, tmp_path / "c", block=half)
    assert all(logit is not None for logit in found.logits[:half])
    assert set(found.logits[half:]) == {None}
    assert any("every clip" in note for note in found.notes)
    with pytest.raises(CheckpointError, match="every clip"):
        scores_of(wanted, folder, records[half:], CONFIG, tmp_path / "d")


def test_a_failure_is_tried_again_and_an_answer_is_not(toy_set: Path, tmp_path: Path):
    """Clips fail while a file lies there; with it gone they are scored, and nothing is said of the failure any more."""
    folder = DatasetFolder.open(toy_set)
    records = folder.records()
    trouble, silent = tmp_path / "trouble", records[0].id.name
    trouble.touch()
    code = tmp_path / "scorer.py"
    code.write_text(
        "import os\n\ndef predict(path):\n"
        f"    if {silent!r} in path and 'faked' not in path:\n        return None\n"
        f"    assert 'faked' not in path or not os.path.exists({str(trouble)!r}), 'out of memory'\n"
        "    return 0.2\n"
    )
    wanted = Wanted("mine", f"python:{code}")
    found = scores_of(wanted, folder, records, CONFIG, tmp_path / "c")
    failed = [place for place, one in enumerate(records) if "faked" in one.path]
    assert failed
    assert all(found.logits[place] is None for place in failed)
    assert any("out of memory" in note for note in found.notes)
    trouble.unlink()
    again = scores_of(wanted, folder, records, CONFIG, tmp_path / "c")
    assert again.fresh == len(failed)
    assert all(again.logits[place] is not None for place in failed)
    assert not any("out of memory" in note for note in again.notes)
    assert again.logits[0] is None  # an answer
    assert any("1 of" in note for note in again.notes)
    assert scores_of(wanted, folder, records, CONFIG, tmp_path / "c", scorer=_refuse).logits == again.logits


def test_scored_afresh_old_blocks_go_and_other_clips_stay(toy_set: Path, tmp_path: Path, table: str):
    folder = DatasetFolder.open(toy_set)
    records = folder.records()
    code = tmp_path / "scorer.py"
    code.write_text("def predict(path):\n    return 0.2\n")
    wanted = Wanted("mine", f"python:{code}")
    scores_of(wanted, folder, records, CONFIG, tmp_path / "c")
    (place,) = (tmp_path / "c").iterdir()
    (block,) = place.iterdir()
    block.write_text(block.read_text().replace('"notes": []', '"notes": ["of old"]'))
    (place / "000001.json").write_text("damaged")
    assert scores_of(wanted, folder, records[1:], CONFIG, tmp_path / "c", fresh=True).notes == ()
    later = scores_of(wanted, folder, records, CONFIG, tmp_path / "c", scorer=_refuse)
    assert (later.notes, later.fresh) == ((), 0)
    assert not (place / "000001.json").exists()


def test_a_damaged_cache_is_named(toy_set: Path, tmp_path: Path, table: str):
    wanted = Wanted("x", table)
    place = tmp_path / "c" / scores_key(wanted, CONFIG)
    place.mkdir(parents=True)
    (place / "000000.json").write_text('{"facts": 3}')
    folder = DatasetFolder.open(toy_set)
    with pytest.raises(UsageError, match=r"000000\.json") as caught:
        scores_of(wanted, folder, folder.records(), CONFIG, tmp_path / "c")
    assert "--fresh" in str(caught.value.hint)


def test_the_scoreboard_from_the_command_line(
    toy_set: Path, tmp_path: Path, toy_config: TrainConfig, capsys: pytest.CaptureFixture
):
    """A run and a table side by side; the second call scores nothing, a third with another table only that."""
    detector = tmp_path / "run"
    train_detector(toy_set, detector, dataclasses.replace(toy_config, steps=2))
    folder = DatasetFolder.open(toy_set)
    rows = [f"{one.id},{0.9 if one.label == 'fake' else 0.2}" for one in folder.records()]
    (tmp_path / "oracle.csv").write_text("clip,score\n" + "\n".join(rows) + "\n")
    line = ["--json", "score", str(toy_set), "--detector", str(detector), "--detector",
            f"oracle=csv:{tmp_path / 'oracle.csv'}", "--out", str(tmp_path / "board"), "--split", "all",
            "--replicates", "50"]  # fmt: skip
    assert run(line) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["scored_now"] == {"run": 16, "oracle": 16}
    assert [row["name"] for row in first["rows"]] == ["all fakes", "stripes"]
    cells = {cell["detector"]: cell for cell in first["rows"][1]["detectors"]}
    assert next(one["value"] for one in cells["oracle"]["evaluations"] if one["metric"] == "auc") == 1.0
    assert any("without a recorded target" in note for note in first["notes"])
    assert any("learned from" in note for note in first["detectors"][0]["notes"])
    before = (tmp_path / "board" / "scoreboard.json").read_bytes()
    assert run(line) == 0
    assert json.loads(capsys.readouterr().out)["scored_now"] == {"run": 0, "oracle": 0}
    assert (tmp_path / "board" / "scoreboard.json").read_bytes() == before
    line.remove("--json")
    assert run(line) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Clip AUC" in said
    assert "AUC of run minus oracle" in said


def test_a_protocol_is_of_one_detector(toy_set: Path):
    with pytest.raises(UsageError, match="same clips"):
        records_to_score(DatasetFolder.open(toy_set), dataclasses.replace(CONFIG, protocol="cross-set"))


def test_bad_calls_of_score_end_in_one_sentence(toy_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    for arguments, code in (
        ([str(toy_set), "--detector", "nowhere"], 1),
        (["nowhere", "--detector", "nowhere"], 1),
        ([str(toy_set), "--detector", "csv:none.csv"], 2),
        ([str(toy_set), "--detector", "x", "--split", "tset"], 2),
        ([str(toy_set)], 2),
    ):
        assert run(["score", *arguments, "--out", str(tmp_path / "b")]) == code, arguments
        assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "b").exists()
