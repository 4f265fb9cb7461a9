"""``assay forge train-reenactor``."""

from __future__ import annotations

import json

from forge.reenacting.networks.checkpoint import load_reenactor
from shared.cli import run


def test_the_command_trains_and_says_on_what(talkers, tmp_path, capsys):
    words = ["--json", "forge", "train-reenactor", str(talkers[0].parent), "--run", str(tmp_path / "run")]
    words += ["--option", "px=64", "--option", "channels=4", "--steps", "2", "--batch", "2", "--device", "cpu"]
    assert run(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["steps"], told["pictures"], told["people"]) == (2, 20, 2)
    assert load_reenactor(tmp_path / "run").card.steps == 2


def test_what_it_cannot_train_is_refused_in_a_sentence(talkers, tmp_path, capsys):
    words = ["forge", "train-reenactor", str(talkers[0]), "--run", str(tmp_path / "run"), "--device", "cpu"]
    for wrong, why in (
        (["--family", "reenact-x"], "reenact-x"),
        (["--option", "px=100"], "px must be one of"),
        (["--option", "depth=3"], "cannot be built with"),
        (["--steps", "0"], "steps must be at least 1"),
        (["--holdout", "0.9"], "holdout"),
    ):
        assert run([*words, *wrong]) == 2, wrong
        assert why in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
