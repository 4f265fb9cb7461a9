"""Names to factories: taken once, refused with what was probably meant."""

from __future__ import annotations

import pytest

from shared.errors import UnknownNameError
from shared.registry import Registry, near_matches


@pytest.fixture
def finders() -> Registry[str]:
    registry: Registry[str] = Registry("finder")

    @registry.register("dlib")
    def make_dlib(size: int = 1) -> str:
        return f"dlib {size}"

    @registry.register("mtcnn")
    def make_mtcnn() -> str:
        return "mtcnn"

    return registry


def test_what_was_filed_is_made(finders):
    assert finders.names() == ["dlib", "mtcnn"]
    assert finders.create("dlib", size=3) == "dlib 3"
    assert finders.get("mtcnn")() == "mtcnn"


def test_a_name_is_filed_once(finders):
    with pytest.raises(ValueError, match="'dlib' is registered twice"):
        finders.register("dlib")(lambda: "another")
    assert finders.create("dlib") == "dlib 1"


def test_unknown_names_are_refused_with_near_matches(finders):
    with pytest.raises(UnknownNameError, match="no finder is named 'mtcn'") as caught:
        finders.create("mtcn")
    assert caught.value.hint == "did you mean mtcnn?"


MANY = [f"resnet{number}" for number in range(1371)]


@pytest.mark.parametrize(
    ("listed_by", "told"),
    [("assay detect models", "assay detect models lists all 1,371"), ("", "1,371 are known")],
)
@pytest.mark.parametrize("name", ["resnet_50", "?"])
def test_of_many_names_the_nearest_are_listed(name, listed_by, told):
    hint = near_matches(name, MANY, listed_by=listed_by)
    assert hint.endswith(told)
    assert len(hint) < 120
    assert "  " not in hint


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("lightwieght", ["original", "lightweight"], "did you mean lightweight?"),
        ("xyz", ["b", "a"], "known names: a, b"),
        ("xyz", [], "known names: none"),
    ],
)
def test_hints(name, known, hint):
    assert near_matches(name, known) == hint
