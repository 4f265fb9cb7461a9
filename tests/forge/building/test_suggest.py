from __future__ import annotations

import dataclasses
import json
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.toy_set import toy_set
from forge.building.build import plan_build
from forge.building.spec import ManipulationConfig, load_spec
from forge.building.spec_text import inline, set_text
from forge.building.suggest import SuggestConfig, next_name, suggest, write_suggestion
from forge.building.suggest_fit import fitted, shares_of
from shared.cli import run
from shared.config import write_toml
from shared.errors import ConfigError, UsageError
from shared.results.scoreboard import Detectability, Row, Scoreboard, ScoredDetector, write_scoreboard
from shared.results.scores import Evaluation


def cell(detector: str, caught: float | None, scored: float = 1.0) -> Detectability:
    found = () if caught is None else (Evaluation("tpr@fpr1%", caught, "clip", 24, 24),)
    return Detectability(detector, found, Evaluation("scored", scored, "clip", 0, 24))


def board(
    caught: dict[str, tuple[float | None, ...]], name: str = "toy", num: dict[str, tuple[int, int]] | None = None
) -> Scoreboard:
    """A scoreboard on which detectors a, b, ... catch these shares of each manipulation, of ``num`` real and fake."""
    count = len(next(iter(caught.values())))
    names = "abcdef"[:count]
    rows = tuple(
        Row(
            "manipulation",
            kind,
            *(num or {}).get(kind, (24, 24)),
            (),
            tuple(cell(*pair) for pair in zip(names, shares, strict=True)),
        )
        for kind, shares in caught.items()
    )
    detectors = tuple(ScoredDetector(name, {}) for name in names)
    return Scoreboard({"name": name}, "test", (), detectors, rows, None, {}, {}, (), "8 clusters", "group")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of four people for training and three for tests, with the manipulations plain and ladder."""
    return toy_set(tmp_path_factory.mktemp("clips"), groups=(4, 3))


def fakes(path: Path, out: Path) -> Counter[str]:
    """Fakes of a plan, by manipulation, self-swaps and renditions not counted."""
    spec = load_spec(path)
    ids = [clip.task.id for clip in plan_build(spec, out).plan.clips]
    first = spec.ladder[0].name
    return Counter(one.manipulation for one in ids if one.manipulation and one.name.endswith(f"@{first}"))


def test_shares_have_a_floor_and_grow_with_what_is_missed():
    assert shares_of([0.75, 0.25, 0.0], 0.4) == pytest.approx([0.4 / 3 + 0.45, 0.4 / 3 + 0.15, 0.4 / 3])
    assert shares_of([0.0, 0.0], 0.4) == [0.5, 0.5]
    assert sum(shares_of([0.3, 0.9, 0.1], 0.01)) == pytest.approx(1.0)
    assert shares_of([0.9, 0.1], 1.0) == [0.5, 0.5]


def test_what_is_missed_gets_more_and_nothing_disappears(settings: Path, tmp_path: Path):
    # plain: 12 + 6 pairs of one export; ladder: a ring of 4 + 3 with two exports.
    before = fakes(settings, tmp_path / "before")
    assert (before["plain"], before["ladder"]) == (18, 14)
    scoreboard = write_scoreboard(tmp_path, board({"plain": (1.0,), "ladder": (0.1,)}))
    out = tmp_path / "next.toml"
    found = suggest(scoreboard, settings, out)
    plain, ladder = found.choices
    assert (plain.missed, ladder.missed) == (0.0, pytest.approx(0.9))
    assert (plain.share, ladder.share) == (pytest.approx(0.2), pytest.approx(0.8))
    assert plain.wanted == pytest.approx(0.2 * 32)
    write_suggestion(out, found)
    after = fakes(out, tmp_path / "after")
    assert after["plain"] == plain.fakes < before["plain"]
    assert after["ladder"] == ladder.fakes > before["ladder"]
    assert plain.fakes == 6  # three of the pairs of each of two models
    assert ladder.fakes == pytest.approx(ladder.wanted, abs=2.0)


def test_the_build_takes_the_next_settings(settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    scoreboard = write_scoreboard(tmp_path, board({"plain": (0.5, 0.7), "ladder": (0.9, 0.5)}))
    out = tmp_path / "elsewhere" / "next.toml"
    line = ["forge", "suggest", str(scoreboard), "--set", str(settings), "--out", str(out)]
    assert run(["--json", *line]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["name"] == "toy-2"
    assert [choice["name"] for choice in document["choices"]] == ["plain", "ladder"]
    assert run(["--json", "forge", "build", str(out), "--out", str(tmp_path / "set"), "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["clips"] > 0
    assert run(line) == 2  # not written over
    assert "--force" in capsys.readouterr().err
    assert run([*line, "--force"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "toy-2, seed" in said
    assert "forge build" in said


def test_generated_faces_stay_in_the_next_set_with_the_path_of_their_run(settings: Path, tmp_path: Path):
    one = settings.with_name("with-faces.toml")
    one.write_text(f'{settings.read_text()}\n[[generation]]\nname = "nobody"\nrun = "runs/nobody"\nfaces = 4\n')
    scoreboard = write_scoreboard(tmp_path, board({"plain": (0.9,), "ladder": (0.9,), "nobody": (0.2,)}))
    out = tmp_path / "deep" / "next.toml"
    found = suggest(scoreboard, one, out)
    assert not any("nobody" in note for note in found.notes)
    (generation,) = tomllib.loads(found.text)["generation"]
    assert (out.parent / generation["run"]).resolve() == (settings.parent / "runs" / "nobody").resolve()
    assert generation["faces"] == 4


def test_each_choice_stands_beside_its_reason(settings: Path, tmp_path: Path):
    scoreboard = write_scoreboard(tmp_path, board({"plain": (0.9, 0.7), "ladder": (None, None)}))
    text = suggest(scoreboard, settings, tmp_path / "next.toml").text
    assert "# plain: 20 % missed (a 10 %, b 30 %) of 24 fakes scored." in text
    assert "# ladder: not on the scoreboard" in text
    assert text.index("# plain:") < text.index('name = "plain"')
    assert "from the fakes of it that a, b missed" in text


def test_people_keep_their_splits_and_draws_are_new(settings: Path, tmp_path: Path):
    """Drawn splits follow from the seed: with a new one, people whom detectors learned from would be tested on."""
    drawn = tmp_path / "drawn.toml"
    text = settings.read_text()
    start, stop = text.index("[splits]"), text.index("[[identity]]")
    drawn.write_text(text[:start] + "[splits]\nfractions = [0.5, 0.0, 0.5]\n\n" + text[stop:])
    folder = tomllib.loads(drawn.read_text())
    folder["set"]["media"] = str(settings.parent)
    write_toml(drawn, folder)
    before = {str(c.task.id.name).partition("-")[0]: c.split for c in plan_build(load_spec(drawn), tmp_path / "a").plan.clips}  # fmt: skip  # noqa: E501
    scoreboard = write_scoreboard(tmp_path, board({"plain": (0.5,), "ladder": (0.5,)}))
    out = tmp_path / "next.toml"
    write_suggestion(out, suggest(scoreboard, drawn, out))
    spec = load_spec(out)
    assert {name: split for split, people in spec.splits.named.items() for name in people} == before
    old = load_spec(drawn)
    assert spec.set.seed != old.set.seed
    assert spec.swapper[0].settings["seed"] != old.swapper[0].settings.get("seed", 0)
    kept = suggest(scoreboard, drawn, out, SuggestConfig(keep_swappers=True))
    assert "seed" not in tomllib.loads(kept.text)["swapper"][0]["settings"]


def test_equal_files_give_equal_settings_and_another_scoreboard_another_seed(settings: Path, tmp_path: Path):
    first = write_scoreboard(tmp_path / "1", board({"plain": (0.5,), "ladder": (0.5,)}))
    second = write_scoreboard(tmp_path / "2", board({"plain": (0.5,), "ladder": (0.6,)}))
    out = tmp_path / "next.toml"
    assert suggest(first, settings, out) == suggest(first.parent, settings, out)
    assert suggest(first, settings, out).seed != suggest(second, settings, out).seed


def test_misses_of_one_detector_can_count_alone(settings: Path, tmp_path: Path):
    scoreboard = write_scoreboard(tmp_path, board({"plain": (1.0, 0.0), "ladder": (0.0, 1.0)}))
    shares = [
        [choice.share for choice in suggest(scoreboard, settings, tmp_path / "n.toml", config).choices]
        for config in (SuggestConfig(), SuggestConfig(detectors=("a",)), SuggestConfig(detectors=("b",), floor=0.5))
    ]
    assert shares == [pytest.approx([0.5, 0.5]), pytest.approx([0.2, 0.8]), pytest.approx([0.75, 0.25])]


def test_a_share_that_the_people_cannot_fill_is_said(settings: Path, tmp_path: Path):
    scoreboard = write_scoreboard(tmp_path, board({"plain": (0.0,), "ladder": (1.0,)}))
    found = suggest(scoreboard, settings, tmp_path / "n.toml", SuggestConfig(grow=10.0))
    assert found.choices[0].fakes == 18  # every pair there is
    assert "would match the share" in found.text


def test_knobs_are_turned_in_order():
    """Twelve pairs, two factors of two values, three clips: counts are products."""
    one = ManipulationConfig("m", "s", pairs="ring", clips=1, factors={"a": [1, 2], "b": [1, 2]}, combine="sample:1")
    pairs = {"ring": 4, "all": 12}

    def count(m: ManipulationConfig) -> int:
        assert isinstance(m.pairs, str)
        number = pairs.get(m.pairs) or min(12, int(m.pairs.partition(":")[2]))
        return number * min(4, int(m.combine.partition(":")[2])) * min(3, m.clips or 3)

    def fit(wanted: float) -> tuple[object, ...]:
        found = fitted(one, wanted, 12, 3, count)
        return found.pairs, found.combine, found.clips

    assert fit(4) == ("ring", "sample:1", 1)
    assert fit(8) == ("sample:8", "sample:1", 1)
    assert fit(24) == ("sample:12", "sample:2", 1)
    assert fit(144) == ("sample:12", "sample:4", 3)
    assert fit(1) == ("sample:1", "sample:1", 1)
    listed = dataclasses.replace(one, pairs=(("x", "y"),))
    assert fitted(listed, 100, 12, 1, lambda m: 4).pairs == listed.pairs


def test_names_count_up():
    assert [next_name(name) for name in ("faces", "faces-2", "set-300")] == ["faces-2", "faces-3", "set-301"]


def test_text_is_toml_and_comments_stay_comments():
    mapping = {
        "renditions": ["c23", {"name": "small", "crf": 30, "through": [{"crf": 35}]}],
        "set": {"name": 'a "b"\\', "seed": 3, "controls": True, "pause": 0.5, "media": "x\x7f\té"},
        "manipulation": [{"name": "m", "factors": {"color.method": ["lct"]}, "settings": {"mask": {"kind": "hull"}}}],
    }
    text = set_text(mapping, {"": ["first"], "manipulation/m": ["one\n[set]\nname = 'evil'"]})
    assert tomllib.loads(text) == mapping
    assert text.startswith("# first\n")
    assert inline({}) == "{}"
    with pytest.raises(TypeError):
        inline(object())


@pytest.mark.parametrize(
    ("caught", "config", "said"),
    [
        ({"other": (0.5,)}, {}, "none of the set's manipulations"),
        ({"plain": (None,)}, {}, "scoreboard has no"),
        ({"plain": (0.5,)}, {"detectors": ("nobody",)}, "nobody"),
    ],
)
def test_what_does_not_fit_is_said(settings: Path, tmp_path: Path, caught: dict, config: dict, said: str):
    scoreboard = write_scoreboard(tmp_path, board(caught))
    with pytest.raises(UsageError, match=said):
        suggest(scoreboard, settings, tmp_path / "n.toml", SuggestConfig(**config))


@pytest.mark.parametrize("num", [(24, 4), (4, 24)])
def test_no_advice_comes_from_four_clips(
    settings: Path, tmp_path: Path, num: tuple[int, int], capsys: pytest.CaptureFixture[str]
):
    counts = {"plain": num, "ladder": num}
    scoreboard = write_scoreboard(tmp_path, board({"plain": (1.0,), "ladder": (0.1,)}, num=counts))
    out = tmp_path / "next.toml"
    assert run(["forge", "suggest", str(scoreboard), "--set", str(settings), "--out", str(out)]) == 2
    assert not out.exists()
    said = " ".join(capsys.readouterr().err.split())
    assert f"{num[1]} fakes of a manipulation and {num[0]} real clips" in said
    assert "needs 20 of each" in said
    assert "off by 49 points" in said


def test_a_manipulation_with_four_fakes_is_taken_like_the_others(settings: Path, tmp_path: Path):
    caught = board({"plain": (0.5,), "ladder": (0.0,)}, num={"ladder": (24, 4)})
    found = suggest(write_scoreboard(tmp_path, caught), settings, tmp_path / "n.toml")
    plain, ladder = found.choices
    assert (plain.missed, ladder.missed) == (pytest.approx(0.5), None)
    assert plain.share == pytest.approx(ladder.share)
    assert "4 fakes scored, fewer than 20" in found.text


def test_a_scoreboard_of_another_set_is_noted(settings: Path, tmp_path: Path):
    scoreboard = write_scoreboard(tmp_path, board({"plain": (0.5,), "foreign": (0.1,)}, name="other"))
    notes = " ".join(suggest(scoreboard, settings, tmp_path / "n.toml").notes)
    assert "foreign" in notes
    assert "of other" in notes


@pytest.mark.parametrize("bad", [{"floor": 0.0}, {"floor": 1.5}, {"grow": 0.0}, {"metric": "auc"}])
def test_bad_settings_are_refused(bad: dict):
    with pytest.raises(ConfigError):
        SuggestConfig(**bad)
