"""The shell completes values: asked as the shell asks, through the program's own variables of the environment."""

from __future__ import annotations

import re

import pytest
from typer.main import get_command

from shared.cli import build_app, run
from shared.commands.completion import offered, words
from shared.errors import UsageError

FAMILIES = {"lightweight", "liaef128"}


def leaves(command, name="assay"):
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for word, each in inner.items():
        yield from leaves(each, f"{name} {word}")


COMMANDS = dict(leaves(get_command(build_app())))


@pytest.fixture
def complete(monkeypatch, capfd):
    """What bash is offered for the last of these words."""

    def offers(*typed: str) -> set[str]:
        line = " ".join(["assay", *typed])
        monkeypatch.setenv("_ASSAY_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(typed)))
        with pytest.raises(SystemExit) as ended:
            run([])
        assert ended.value.code == 0
        out, err = capfd.readouterr()
        assert err == ""
        return set(out.split())

    return offers


@pytest.mark.parametrize(
    ("typed", "some", "none"),
    [
        (["forge", "train", "--model", "l"], FAMILIES, {"original"}),
        (["forge", "train", "--optimizer", ""], {"adam", "lion"}, set()),
        (["forge", "train", "--recipe", "deep"], {"deepfacelab", "deepfake-tf"}, {"amp"}),
        (["forge", "models", "df"], {"df", "dfaker"}, {"lightweight"}),
        (["forge", "recipes", "assay-"], {"assay-cpu", "assay-quality"}, {"amp"}),
        (["forge", "swap", "--color", ""], {"lct", "mkl"}, set()),
        (["forge", "swap", "--codec", "lib"], {"libx264", "libx265"}, {"ffv1"}),
        (["forge", "swap", "--device", "c"], {"cpu", "cuda"}, {"mps"}),
        (["faces", "extract", "--finder", "dlib"], {"dlib", "dlib-mmod"}, {"yunet"}),
        (["faces", "extract", "--framing", "h"], {"half", "head"}, {"whole"}),
        (["detect", "train", "--model", "tf_efficientnet_lite"], {"tf_efficientnet_lite0"}, {"resnet18"}),
        (["detect", "train", "--family", "m"], {"meso4", "multitask"}, {"frame"}),
        (["detect", "train", "--self-swaps", ""], {"fake"}, set()),
        (["detect", "evaluate", "--split", "t"], {"train", "test"}, {"val"}),
        (["detect", "evaluate", "--engine", "r"], {"ray"}, {"local"}),
        (["detect", "calibrate", "--method", ""], {"platt", "kde", "auto"}, set()),
        (["detect", "export", "--format", ""], {"onnx", "local-dir"}, set()),
        (["detect", "robustness", "--kind", "j"], {"jpeg"}, {"blur"}),
        (["dataset", "export", "set", "w"], {"webdataset"}, {"huggingface"}),
        (["dataset", "import", "d"], {"dfdc", "df40"}, {"csv"}),
        (["weights", "fetch", "yu"], {"yunet"}, {"s3fd"}),
        (["docs", "cal"], {"calibration"}, {"audit"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_values_are_offered(complete, typed, some, none):
    offers = complete(*typed)
    assert some <= offers
    assert not none & offers
    assert all(offer.startswith(typed[-1]) for offer in offers)


NAMED = re.compile(
    r"^--(finder|device|framing|format|engine|precision|codec|clusters|optimizer|recipe|family|split|method)$"
)


def test_no_option_with_fixed_values_is_forgotten():
    """Everywhere an option of these names is, it completes; those that hold typed choices do by themselves."""
    for name, command in COMMANDS.items():
        for parameter in command.params:
            if any(NAMED.match(option) for option in parameter.opts):
                offers = parameter.shell_complete(None, "") if parameter._custom_shell_complete else []
                assert offers, f"{name} {parameter.opts[0]}"


def test_names_that_cannot_be_read_are_none():
    def broken() -> list[str]:
        raise UsageError("nothing there")

    assert offered(broken)("a") == []
    assert words("ab", "b")("a") == ["ab"]
