"""The sets that the benchmark of stills builds: people once each, a face for each of them, and what is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.still_sets import measured, set_of
from shared.errors import UsageError


def test_every_photograph_is_a_person_of_one_split_and_each_has_a_face(tmp_path: Path):
    photographs = [tmp_path / f"{number}.jpg" for number in range(30)]
    spec = set_of(photographs, tmp_path / "run", name="controls", rights="consent", careless=False)
    named = spec.splits.named
    assert {split: len(people) for split, people in named.items()} == {"train": 18, "val": 3, "test": 9}
    assert len({name for people in named.values() for name in people}) == 30
    assert spec.generation[0].faces == {"train": 18, "val": 3, "test": 9}
    assert spec.clip_path(spec.identity[4].entries[0].path) == photographs[4].resolve()
    bare = set_of(photographs, tmp_path / "run", name="careless", rights="consent", careless=True).generation[0]
    assert (bare.softened, bare.quality_spread) == (0, 0)
    assert spec.generation[0].softened > 0


def test_few_photographs_are_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="3 photographs are too few"):
        next(measured([tmp_path / "a.jpg"] * 3, tmp_path, tmp_path / "out", rights="consent"))
