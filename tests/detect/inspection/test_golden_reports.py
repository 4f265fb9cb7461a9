"""Reports on eight files say the right thing, and mean what they meant when ``data/golden_reports.json`` was recorded.

Where a change is meant, write the record anew, look at its diff, and say in the commit why:

    python -m tests.golden_reports tests/data/golden_reports.json

The tests of what is right hold whatever was recorded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.golden_reports import FORGED_SECONDS, PX, SAYS_FAKE, inspect_all

pytestmark = pytest.mark.slow

RECORD = Path(__file__).parents[2] / "data" / "golden_reports.json"
CREDENTIALS, MARK = "content credentials (C2PA)", "imperceptible mark (picture)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("golden")


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, dict[str, Any]]:
    return inspect_all(folder)


def report(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / f"case {name}" / "report.json").read_text(encoding="utf-8"))


def test_the_reports_mean_what_was_recorded(found):
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    assert found.keys() == recorded.keys()
    for name, before in recorded.items():
        now = found[name]
        assert {key: now[key] for key in now if now[key] != before.get(key)} == {}, name
        assert before.keys() == now.keys()


def test_a_fake_of_this_program_is_never_called_real_and_says_what_it_is(found, folder):
    for name in ("fake", "fake in its middle third", "two people, one forged"):
        assert found[name]["verdict"] != "real", name
        assert found[name]["credentials"] == {"present": True, "valid": True, SAYS_FAKE: True}, name
        assert CREDENTIALS in found[name]["differ"], name
        assert "model had a hand in it" in report(folder, name)["reason"], name
    assert found["fake"]["marks"][MARK] == {"read": True, SAYS_FAKE: True}


def test_two_more_codings_take_the_credentials_and_what_is_left_is_told(found):
    coded = found["fake, coded twice more"]
    assert coded["credentials"]["present"] is False
    assert coded["verdict"] != "real"
    assert CREDENTIALS not in coded["differ"]


def test_the_forged_third_is_named_by_its_time(found, folder):
    (part,) = found["fake in its middle third"]["parts that stand out"]
    face, start, stop = part
    assert face == 0
    assert (start, stop) == pytest.approx(FORGED_SECONDS, abs=1.0)
    reason = report(folder, "fake in its middle third")["reason"]
    assert "stands out: face 0 from" in reason


def test_the_forged_person_is_named_by_track(found, folder):
    document = report(folder, "two people, one forged")
    scores = {each["track"]: each["logit"] for each in document["tracks"]}
    assert len(scores) == 2
    forged = max(scores, key=lambda track: scores[track])
    left = [exhibit for exhibit in _boxes(folder, "two people, one forged") if exhibit[0] == forged]
    assert left
    assert all(x1 < PX for _, x1 in left)  # who was forged stands on the left
    assert sorted(found["two people, one forged"]["faces"]) == ["above", "below"]
    assert f"Of 2 faces 1 lies above the threshold: face {forged} (" in document["reason"]


def _boxes(folder: Path, name: str) -> list[tuple[int, float]]:
    """Track and right edge of every scored face."""
    import pyarrow.parquet as pq

    table = pq.read_table(folder / f"case {name}" / "frames.parquet")
    return list(zip(table["track"].to_pylist(), (box[2] for box in table["box"].to_pylist()), strict=True))


def test_real_material_is_not_accused(found):
    for name in ("real", "photograph", "credentials, valid", "credentials, broken"):
        assert found[name]["verdict"] != "fake", name
        assert found[name]["faces"] == ["below"], name
        assert not found[name]["credentials"][SAYS_FAKE], name
        assert found[name]["parts that stand out"] == [], name


def test_credentials_are_called_valid_broken_or_absent(found):
    states = {name: each["credentials"]["valid"] for name, each in found.items() if each["credentials"]["present"]}
    assert states.pop("credentials, broken") is False
    assert CREDENTIALS in found["credentials, broken"]["differ"]
    assert "credentials, valid" in states
    assert all(states.values())
    assert CREDENTIALS not in found["credentials, valid"]["differ"]
    assert found["real"]["credentials"] == {"present": False, "valid": None, SAYS_FAKE: None}


def test_a_photograph_has_no_findings_of_motion(found):
    assert "error level analysis" in " ".join(found["photograph"]["findings"]).lower()
    assert not {"regularity of groups", "eyes", "sound"} & set(found["photograph"]["findings"])
