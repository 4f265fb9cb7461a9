"""What a training refuses before it begins, by command: nothing is written, and the hint says what would do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from forge.cli import app
from forge.models import build_swapper
from forge.models.checkpoint import save_swapper
from shared.errors import AssayError
from tests.forge.training.test_train import drawn_faceset


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("faces")
    return [str(drawn_faceset(folder, "ann")), str(drawn_faceset(folder, "bobby"))]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = build_swapper("lightweight", ["ann", "cat"], width=0.1)
    return save_swapper(model, tmp_path_factory.mktemp("other") / "swapper")


def refused(people: list[str], run: Path, *words: str) -> AssayError:
    command = ["train", *people, "--run", str(run), "--device", "cpu", *words]
    with pytest.raises(AssayError) as caught:
        CliRunner().invoke(app, command, catch_exceptions=False)
    assert not run.exists()
    return caught.value


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (("--optimizer", "adabelif"), "Invalid enum value 'adabelif'", "adabelief"),
        (("--model", "lightwight"), "lightwight", "lightweight"),
        (("--model", "lightweight", "--option", "maks=true"), "maks", "mask"),
        (("--recipe", "facewap"), "facewap", "faceswap"),
        (("--width", "0.03", "--freeze", "encodr"), "no part 'encodr'", "encoder"),
        (("--width", "0.03", "--from", "nowhere"), "holds no exported swapper", "path"),
        (("--width", "0.03", "--load-parts", "encoder"), "of nothing", "--from"),
    ],
)
def test_names_that_do_not_exist_get_the_nearest_ones(people, tmp_path, words, said, hint):
    error = refused(people, tmp_path / "run", *words)
    assert said in str(error)
    assert hint in (error.hint or "")
    assert error.exit_code in (1, 2)


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("[loss]\ndsim = 1.0\n", "unknown setting 'dsim'", "dssim"),
        ("[augment]\nwarp_kind = 'gridz'\n", "Invalid enum value 'gridz'", "grid"),
        ("[[phases]]\nuntil = 500\nset = {}\n", "past the training's 100", "100"),
        ("[[phases]]\nuntil = 1.0\nset = { 'loss.dsim' = 1.0 }\n", "loss.dsim", "dssim"),
        ("width = 0.03\n[[phases]]\nuntil = 1.0\nset = { freeze = 'inter' }\n", "no part 'inter'", "encoder"),
    ],
)
def test_a_settings_file_is_refused_by_name(people, tmp_path, text, said, hint):
    file = tmp_path / "settings.toml"
    file.write_text("steps = 100\n" + text)
    error = refused(people, tmp_path / "run", "--config", str(file))
    assert said in str(error)
    assert hint in (error.hint or "")


def test_a_swapper_of_another_shape_says_what_differs(people, other, tmp_path):
    error = refused(people, tmp_path / "run", "--width", "0.03", "--from", str(other))
    assert "width is 0.1 there and 0.03 here" in str(error)
    assert "encoder" in str(error)
    assert "--load-parts" in (error.hint or "")


def test_a_size_that_is_no_multiple_gets_the_nearest(people, tmp_path):
    error = refused(people, tmp_path / "run", "--model", "saehd", "--option", "px=100")
    assert "100" in str(error) or "px" in str(error)
    assert error.hint
