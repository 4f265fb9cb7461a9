from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.app import SETTINGS
from benchmarks.kinds import Effort, Scored, areas, configurations, set_of
from forge.building.spec import SetSpec, load_spec
from shared.errors import UsageError
from shared.types import SPLITS
from tests.factories import clip_record


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> SetSpec:
    monkeypatch.setenv("ASSAY_MEDIA", "/nowhere")
    return load_spec(SETTINGS / "set-kinds.toml")


def test_photographs_and_faces_of_nobody_are_divided_as_the_rest_is(base: SetSpec, tmp_path: Path):
    photographs = [tmp_path / f"{number}.jpg" for number in range(40)]
    spec = set_of(base, photographs, "CC-BY-4.0", {"prior": tmp_path / "prior"})
    people = {split: set(getattr(spec.splits, split)) for split in SPLITS}
    assert [len(people[split]) - len(getattr(base.splits, split)) for split in SPLITS] == [20, 8, 12]
    assert len(set.union(*people.values())) == len(spec.identity)
    assert spec.generation[0].faces == {"train": 20, "val": 8, "test": 12}
    with pytest.raises(UsageError, match="29 photographs are too few"):
        set_of(base, photographs[:29], "CC-BY-4.0", {})


def test_everybody_who_is_made_to_speak_is_driven_by_somebody_of_the_same_split(base: SetSpec):
    split = {person: name for name in SPLITS for person in getattr(base.splits, name)}
    said = next(one for one in base.reenactment if one.name == "said")
    assert isinstance(said.pairs, tuple | list)
    assert {split[driver] == split[target] for driver, target in said.pairs} == {True}
    assert {target for _, target in said.pairs} == set(split)


def test_one_detector_for_each_input():
    made = configurations(Effort(10, 20, 30))
    assert {name: config.family for name, config in made.items()} == {
        "faces": "frame", "motion": "motion", "spectrum": "spectrum", "upsampling": "upsampling",
    }  # fmt: skip
    assert (made["motion"].steps, made["faces"].steps) == (20, 10)


def test_a_kind_is_compared_with_the_reals_of_its_rendition_where_there_is_a_score():
    """Three reals and three fakes in c23: two of the three fakes are above all reals, one below; AUC 2/3."""
    records, first, second = [], [], []
    for number, logit in enumerate((0.0, 1.0, 2.0)):
        records.append(clip_record(f"p{number}", None, name=f"r{number}", rendition="c23"))
        first.append(logit)
        second.append(np.nan)
    for number, logit in enumerate((3.0, 4.0, -1.0)):
        fake = clip_record(f"p{number}", "m", name=f"f{number}", source="q", faked=((0, 9),), rendition="c23")
        records.append(fake)
        first.append(logit)
        second.append(np.nan)
    records.append(clip_record("p9", None, name="other", rendition="c40"))
    first.append(99.0)
    second.append(1.0)
    found = list(areas(Scored(records, {"faces": np.array(first), "motion": np.array(second)}), "all", replicates=20))
    assert [one.name for one in found] == ["all: faces, m, c23"]
    assert found[0].values == (pytest.approx(2 / 3),)
    assert "3 fakes, 3 reals" in found[0].note
