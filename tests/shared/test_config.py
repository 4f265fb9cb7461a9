"""Settings are strict, precise in their complaints, and survive a file."""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

import pytest

from shared.config import (
    completed,
    configured,
    digest,
    from_mapping,
    load_json,
    load_toml,
    parse_toml,
    read_toml,
    replace,
    to_mapping,
    write_toml,
)
from shared.errors import ConfigError, ManifestError


@dataclass(frozen=True)
class Warp:
    strength: float = 0.5
    grid: int = 5


@dataclass(frozen=True)
class Settings:
    model: Literal["original", "lightweight"] = "lightweight"
    steps: int = 100
    rate: float = 1e-4
    compile: bool = False
    minutes: float | None = None
    frame_rate: Fraction = Fraction(25)
    out: Path = Path("runs")
    warp: Warp = Warp()
    extra_warp: Warp | None = None
    warps: tuple[Warp, ...] = ()
    options: dict[str, str | int | float | bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError("steps must be at least 1")


FULL = Settings(
    "original",
    7,
    0.25,
    True,
    1.5,
    Fraction(30_000, 1_001),
    Path("a/b"),
    Warp(0.1, 9),
    Warp(),
    (Warp(1.0), Warp(2.0)),
    {"width": 0.5, "name": "x", "on": True, "n": 3},
)


def test_defaults_come_from_the_dataclass():
    assert from_mapping(Settings, {}) == Settings()


@pytest.mark.parametrize("settings", [Settings(), FULL])
def test_settings_survive_a_mapping_and_a_file(settings, tmp_path):
    assert from_mapping(Settings, to_mapping(settings)) == settings
    write_toml(tmp_path / "config.toml", settings)
    assert load_toml(Settings, tmp_path / "config.toml") == settings


def test_a_whole_number_is_a_fine_float():
    assert from_mapping(Settings, {"rate": 1}).rate == 1.0


@pytest.mark.parametrize(
    ("mapping", "says", "hint"),
    [
        ({"stpes": 5}, "unknown setting 'stpes'", "did you mean steps or minutes?"),
        ({"warp": {"strenght": 1.0}}, "warp: unknown setting 'strenght'", "did you mean strength?"),
        ({"extra_warp": {"gird": 1}}, "extra_warp: unknown setting 'gird'", "did you mean grid?"),
        ({"warps": [{"grid": 3}, {"gird": 1}]}, "warps: unknown setting 'gird'", "did you mean grid?"),
        ({"steps": "5"}, "steps", None),
        ({"steps": 5.5}, "steps", None),
        ({"steps": True}, "steps", None),
        ({"compile": 1}, "compile", None),
        ({"model": "orignal"}, "model", None),
        ({"frame_rate": "fast"}, "frame_rate", None),
        ({"frame_rate": "1/0"}, "frame_rate", None),
        ({"frame_rate": 29.97}, "frame_rate", None),
        ({"frame_rate": True}, "frame_rate", None),
        ({"out": 3}, "out", None),
        ({"steps": 0}, "at least 1", None),
        ({"options": {"x": [1]}}, "options", None),
    ],
)
def test_what_does_not_fit_is_refused_by_name(mapping, says, hint):
    with pytest.raises(ConfigError, match=says) as caught:
        from_mapping(Settings, mapping, where="config.toml")
    assert str(caught.value).startswith("config.toml")
    assert hint is None or caught.value.hint == hint


def test_flags_override_the_file_where_they_were_given(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("steps = 5\nrate = 0.5\n")
    settings = load_toml(Settings, path, overrides={"steps": 9, "rate": None, "model": "original"})
    assert (settings.steps, settings.rate, settings.model) == (9, 0.5, "original")


def test_replace_leaves_alone_what_was_not_given():
    assert replace(FULL, steps=None, rate=0.5) == from_mapping(Settings, {**to_mapping(FULL), "rate": 0.5})


def test_the_digest_depends_on_values_alone():
    assert digest(FULL) == digest(from_mapping(Settings, to_mapping(FULL)))
    assert digest(Settings()) == digest(from_mapping(Settings, {}))
    assert to_mapping(from_mapping(Settings, {})) == to_mapping(Settings())
    assert digest(Settings()) != digest(Settings(steps=101))
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert len(digest(Settings())) == 64


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"steps = ", "not TOML"), (b"\xff\xfe", "not TOML"), (b"x" * ((1 << 20) + 1), "larger than 1 MiB")],
    ids=["syntax", "encoding", "size"],
)
def test_files_that_are_no_settings_are_refused(tmp_path, content, says):
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=says) as caught:
        read_toml(path)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x." * 64 + "x = 1", "64 parts"),
        ("[" + "x." * 500_000 + "x]", "64 parts"),
        ("a = {b = [{" + "'x' . " * 64 + "x = 1}]}", "64 parts"),
        ('a = "#"\n' + "x." * 64 + "x = 1", "64 parts"),
        ('a = """\\"" " """""\n' + "x\t.\t" * 64 + "x = 1", "64 parts"),
        ("a = ''''x''''\n" + "x." * 64 + "x = 1", "64 parts"),
        ("# it's\n" + '"x".' * 64 + "x = 1", "64 parts"),
        ("x." * 40 + "x = {" + "x." * 40 + "x = 1}", "64 levels"),
        ("a = " + "[" * 500_000, "64 levels"),
        ("a = " + "{a = " * 200_000, "64 levels"),
        ("a = " + "[" * 65 + "]" * 65, "64 levels"),
        ("a = 0x" + "f" * 1_000_000, "300 digits"),
        ("a = " + "9" * 1_000_000, "digits"),
        ("a = 2024-02-30", "date"),
        ('"' * 1_000_000, "line 1"),
        ('a = "' + "\\" * 999_999, "string"),
        ("-" * 1_000_000, "Expected"),
    ],
    ids=lambda value: value[:16],
)
def test_hostile_settings_are_refused_at_once(text, says):
    began = time.monotonic()
    with pytest.raises(ValueError, match=says):
        parse_toml(text)
    assert time.monotonic() - began < 20  # the square of a million would take minutes


def test_dots_that_are_no_keys_count_nothing():
    dots = "x." * 100
    text = f'''
        # {dots}
        "{dots}" = "{dots}"   # {dots}
        a = \'{dots}\'
        b = """
        {dots} ""
        {dots}"""
        c = [{"1.5, " * 100}]
        {"x." * 62}x = 1
    '''
    assert parse_toml(text)["b"].count(".") == 200


@dataclass(frozen=True)
class Facts:
    width: int
    clock: Fraction = Fraction(1, 25)


def test_a_json_file_is_checked_like_settings(tmp_path):
    path = tmp_path / "facts.json"
    path.write_text('{"width": 3, "clock": "1/30"}')
    assert load_json(Facts, path, error=ManifestError) == Facts(3, Fraction(1, 30))
    for text in ('{"wdth": 3}', '{"width": "3"}', '{"width": 3, "clock": "1/0"}', "[]", "", "[" * 100_000):
        path.write_text(text)
        with pytest.raises(ManifestError, match=r"facts\.json is .*damaged") as caught:
            load_json(Facts, path, error=ManifestError, hint="make it anew")
        assert caught.value.hint == "make it anew"
    with pytest.raises(ManifestError, match="does not exist"):
        load_json(Facts, tmp_path / "none.json", error=ManifestError)


def test_paths_that_are_no_files_are_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "absent.toml", tmp_path, tmp_path / "file" / "config.toml"):
        with pytest.raises(ConfigError):
            read_toml(path)


def test_what_an_older_version_wrote_gets_the_defaults_of_what_is_new():
    @dataclass(frozen=True)
    class Inner:
        old: int = 1
        new: str = "plain"

    @dataclass(frozen=True)
    class Outer:
        needed: int
        inner: Inner = field(default_factory=Inner)
        names: tuple[str, ...] = ()

    written = {"needed": 3, "inner": {"old": 2}}
    assert completed(written, Outer(4)) == {"needed": 3, "inner": {"old": 2, "new": "plain"}, "names": []}
    assert completed(written, Outer(4, Inner(new="other"), ("a",))) == written  # asked for, so not filled in
    assert completed({"free": 1}, {"free": 2}) == {"free": 1}


def test_settings_by_name_lie_over_a_config():
    assert configured(Settings, None, {}) == Settings()
    assert configured(Settings, FULL, {}) is FULL
    assert configured(Settings, None, {"steps": 3, "warp": {"grid": 7}}) == Settings(steps=3, warp=Warp(0.5, 7))
    changed = configured(Settings, FULL, {"warp": {"grid": 7}, "extra_warp": None, "minutes": None, "out": Path("c")})
    assert changed == dataclasses.replace(FULL, warp=Warp(0.1, 7), extra_warp=None, minutes=None, out=Path("c"))
    assert configured(Settings, FULL, {"warp": Warp(grid=7)}).warp == Warp(0.5, 7)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stepz": 3}, "Settings: unknown setting 'stepz'"),
        ({"warp": {"grids": 3}}, "unknown setting 'grids'"),
        ({"steps": "many"}, "Expected `int`"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"steps": object()}, "Settings: "),
    ],
)
def test_settings_by_name_are_checked_as_a_file_is(settings: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        configured(Settings, None, settings)


@dataclass(frozen=True)
class Rates:
    rate: Fraction = Fraction(25)
    factor: float = 1.0
    names: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"factor": math.inf}, "factor is inf"),
        ({"factor": math.nan}, "factor is nan"),
        ({"names": ["\udcff"]}, "not UTF-8"),
        ({"rate": "1e999999999"}, "no fraction"),
        ({"rate": "1/0"}, "divides by zero"),
    ],
)
def test_values_that_no_setting_can_be_are_refused(given: dict[str, object], says: str):
    with pytest.raises(ConfigError, match=says):
        from_mapping(Rates, given)


def test_deeply_nested_settings_are_refused_at_once():
    nested: dict[str, object] = {"a": 1}
    for _ in range(60):
        nested = {"a": nested}
    with pytest.raises(ConfigError, match="factor"):
        from_mapping(Rates, {"factor": nested})


def test_fractions_are_read_as_they_are_written():
    assert [from_mapping(Rates, {"rate": rate}).rate for rate in ("30000/1001", 25, "12.5")] == [
        Fraction(30000, 1001),
        Fraction(25),
        Fraction(25, 2),
    ]
