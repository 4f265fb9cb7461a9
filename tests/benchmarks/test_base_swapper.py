"""The base swapper's own command, small: actors alone, 200 steps of a tiny swapper."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path

import pytest

from benchmarks import base_swapper
from benchmarks.base_swapper import MODEL_CARD, base_config, make_base, ship
from forge.models import shipped
from forge.models.checkpoint import read_card
from forge.training.train import train_swapper
from shared.errors import UsageError
from shared.training.run import read_facts

TINY = {"width": 0.06, "model_options": {"resolution": 64, "code": 32}, "batch": 2, "device": "cpu"}


def tiny(steps: int):
    config = dataclasses.replace(base_config(steps=steps), **TINY)
    # Networks of the finish are large beside the swapper: its phases are kept, without perceptual features.
    phases = tuple(
        dataclasses.replace(phase, set={name: value for name, value in phase.set.items() if "perceptual" not in name})
        for phase in config.phases
    )
    return dataclasses.replace(config, phases=phases)


@pytest.fixture(autouse=True)
def short_films(monkeypatch):
    """Actors on small pictures for a moment: filming as the command does takes longer than all the rest."""
    monkeypatch.setattr(base_swapper, "film_actors", functools.partial(base_swapper.film_actors, seconds=1.6, px=160))


@pytest.mark.slow
def test_it_learns_is_shipped_in_half_the_bytes_and_others_start_from_it(tmp_path, monkeypatch):
    run = make_base(None, tmp_path / "work", tiny(200), actors=4)
    card = ship(run, tmp_path / "base")
    assert (card.population, card.half, card.training["steps"]) == (True, True, 200)
    assert {each.rights for each in card.facesets} == {"own"}
    text = (tmp_path / "base" / MODEL_CARD).read_text()
    assert card.sha256 in text
    assert all(each.digest[:16] in text for each in card.facesets)

    monkeypatch.setattr(shipped, "BASE_FOLDER", tmp_path / "base")
    facesets = [tmp_path / "work" / "faces" / name for name in ("actors", "actors-2")]
    config = dataclasses.replace(tiny(1), population=False, phases=(), ema=0.0)
    result = train_swapper(facesets, tmp_path / "pair", config)
    assert "started_from" in read_card(result.run).training
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert logged[-1]["dssim"] < 0.9 * logged[0]["dssim"]


def test_what_is_there_is_kept_and_the_training_goes_on(tmp_path):
    make_base(None, tmp_path, tiny(2), actors=4)
    before = (tmp_path / "faces" / "actors" / "faceset.toml").stat().st_mtime_ns
    run = make_base(None, tmp_path, tiny(4), actors=4)
    assert (tmp_path / "faces" / "actors" / "faceset.toml").stat().st_mtime_ns == before
    assert read_card(run).training["steps"] == 4
    assert read_facts(run)["seed"] == 0


def test_material_that_is_missing_is_named_before_anything_is_filmed(tmp_path):
    with pytest.raises(UsageError, match="uscongress118"):
        make_base(tmp_path, tmp_path / "work", tiny(1))
    assert not (tmp_path / "work" / "actors").exists()


def test_the_base_is_made_of_material_that_may_be_given_away():
    assert all(
        Path(pattern).parts[0] in ("real_faces", "video_grid")
        for crowd in base_swapper.CROWDS
        for pattern in crowd.patterns
    )
    assert not any("ffhq" in pattern for crowd in base_swapper.CROWDS for pattern in crowd.patterns)
