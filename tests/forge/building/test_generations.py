"""Generated faces in a set: planned, made beside real stills by one writer, listed, verified; nothing is done twice."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from forge.building.build import BuildResult, build_set, plan_build
from forge.building.generations import GenerationConfig
from forge.building.plan import plan_set
from forge.building.spec import load_spec
from forge.cli import app
from shared.actors import Actor, portrait
from shared.actors.actor import cast
from shared.actors.filming import film
from shared.dataset import DatasetFolder
from shared.dataset.audit.audit import audit_dataset
from shared.dataset.audit.config import AuditConfig
from shared.dataset.formats.exporting import export_dataset
from shared.dataset.splits import find_leaks
from shared.engine.local import LocalEngine
from shared.errors import AssayError, CheckpointError, ConfigError, ManifestError, MediaError
from shared.marking.files import read_marks
from shared.provenance.read import read_provenance
from shared.provenance.types import MADE_BY_MODEL
from shared.types import ClipRecord
from shared.video.images import encode_png, read_picture
from shared.video.media import clip_reader
from tests.forge.building.generator import write_generator

pytestmark = pytest.mark.slow

TEXT = """
renditions = []
[set]
name = "stills"
finder = "sidecar"
min_face_px = 16
frames = 5
[splits]
train = ["ann", "bob"]
test = ["cid"]
[[identity]]
name = "ann"
rights = "synthetic"
clips = ["ann.mp4"]
[[identity]]
name = "bob"
rights = "synthetic"
clips = ["bob.mp4"]
[[identity]]
name = "cid"
rights = "consent"
clips = ["cid.mp4"]
[[generation]]
name = "nobody"
run = "run"
seeds = { train = "0,1", test = "8,9" }
px = 128
renditions = ["png", { name = "small", format = "jpg", quality = 80, chroma = "444", size = 96 }]
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings of a set of three actors, and a generator fitted to eight others in a pass over their faces."""
    folder = tmp_path_factory.mktemp("set")
    for name, actor in zip(("ann", "bob", "cid"), cast(3, 3), strict=True):
        film(actor, folder / f"{name}.mp4", seconds=5 / 25, px=96, seed=4, audio=False)
    write_generator(folder, like_seed=9)
    path = folder / "set.toml"
    path.write_text(TEXT)
    return path


def built(settings: Path, out: Path) -> BuildResult:
    return build_set(settings, out, work=out.with_name("work"), engine=LocalEngine(1))


def by_split(folder: DatasetFolder) -> Counter[tuple[str, str, str]]:
    return Counter((str(one.split), one.label, one.id.manipulation or "real") for one in folder.records())


def test_a_set_of_stills_is_built_and_verified_and_not_built_again(settings, tmp_path):
    planned = plan_build(settings, tmp_path / "set", work=tmp_path / "work")
    assert {cost.kind: cost.tasks for cost in planned.costs} == {
        "shot": 3, "generate": 2, "portraits": 3, "stills": 5,
    }  # fmt: skip
    result = built(settings, tmp_path / "set")
    folder = DatasetFolder.open(tmp_path / "set")
    assert folder.verify(deep=True) == []
    # Seed 9 gives a copy of a person of the generator's training: not made, in neither rendition.
    reasons = {str(clip): why for clip, why in result.skipped.items()}
    assert reasons == {
        f"stills/nobody/seed-000009@{name}": "the face is too like a person of the generator's training"
        for name in ("png", "small")
    }
    assert by_split(folder) == {
        ("train", "real", "real"): 4, ("train", "fake", "nobody"): 4, ("train", "fake", "nobody-self"): 4,
        ("test", "real", "real"): 4, ("test", "fake", "nobody"): 2, ("test", "fake", "nobody-self"): 4,
    }  # fmt: skip
    again = built(settings, tmp_path / "set")
    assert (again.tasks, again.made) == ({}, 0)


@pytest.fixture(scope="module")
def folder(settings: Path, tmp_path_factory: pytest.TempPathFactory) -> DatasetFolder:
    """The set, built; not to be changed."""
    out = tmp_path_factory.mktemp("built") / "set"
    built(settings, out)
    return DatasetFolder.open(out)


def records_of(folder: DatasetFolder, kind: str) -> list[ClipRecord]:
    return [one for one in folder.records() if (one.id.manipulation or "real") == kind]


def test_both_classes_leave_by_one_writer(folder):
    shapes: dict[str, set[tuple[object, ...]]] = {}
    for record in folder.records():
        with Image.open(folder.media_path(record)) as image:
            assert image.size == (record.width, record.height)
            shown = (record.rendition, image.format, image.mode, image.size, tuple(sorted(image.info)))
        shapes.setdefault(record.label, set()).add(shown)
    assert shapes["real"] == shapes["fake"]
    assert len(shapes["real"]) == 2
    qualities = {one.factors["encoding"] for one in folder.records() if one.rendition == "small"}
    assert len(qualities) > 1
    assert all(72 <= int(text.split("-q")[1][:2]) <= 88 for text in qualities)


def test_a_face_of_nobody_says_whom_it_is_nearest_to_and_reads_back(folder):
    record = next(one for one in records_of(folder, "nobody") if one.rendition == "png" and one.seed == 1)
    assert (record.kind, record.architecture, record.faked) == ("generate", "generate-prior", ((0, 1),))
    assert (record.target_identity, record.source_identity) == ("nobody-nobody-000001", None)
    assert (record.factors["new_identity"], record.masks, record.is_self_swap) == ("yes", None, False)
    signed = read_provenance(folder.media_path(record))
    assert signed is not None
    assert signed.valid
    assert MADE_BY_MODEL in signed.digital_source_types
    assert signed.record is not None
    assert signed.record["nearest_identity"] == record.factors["nearest_identity"]


def test_a_person_through_the_model_is_a_fake_beside_its_real_still(folder):
    for record in records_of(folder, "nobody-self"):
        assert record.is_self_swap
        assert record.parent is not None
        real = folder.record(record.parent)
        assert (real.label, real.rendition, real.target_identity) == ("real", record.rendition, record.target_identity)
        assert record.factors["frame"] == real.factors["frame"]
        if record.rendition == "png":
            one, other = (read_picture(folder.media_path(each)).astype(float) for each in (record, real))
            assert 1 < np.abs(one - other).mean() < 60
    reals = records_of(folder, "real")
    assert {one.target_identity for one in reals} == {"ann", "bob", "cid"}
    assert {one.rights for one in reals} == {"synthetic", "consent"}
    softened = [float(one.factors["softened"]) for one in reals if "softened" in one.factors]
    assert 0 < len(softened) < len(reals)
    assert all(1 < by <= 4 for by in softened)


def test_faces_are_labelled_where_they_are_and_nobody_is_in_two_splits(folder):
    for record in folder.records():
        (row,) = folder.frame_labels(record.id)
        assert (row.label, row.frame) == (record.label, 0)
        assert row.box is not None
        assert 0 < row.box[0] < row.box[2] < record.width
        assert row.face_px == pytest.approx(row.box[2] - row.box[0])
    assert find_leaks(folder.records()) == []
    assert len({one.target_identity for one in records_of(folder, "nobody")}) == 3


def test_a_removed_still_is_made_again_and_nothing_else(settings, folder, tmp_path):
    out = Path(shutil.copytree(folder.path, tmp_path / "set"))
    shutil.copytree(folder.path.with_name("work"), tmp_path / "work")
    copy = DatasetFolder.open(out)
    gone = next(one.id for one in copy.records() if one.id.manipulation == "nobody-self" and one.rendition == "small")
    copy.remove([gone])
    shutil.rmtree(next((tmp_path / "work" / "stills").glob("nobody-ann-*")))
    result = built(settings, out)
    assert result.made == 1
    assert DatasetFolder.open(out).verify(deep=True) == []


def test_a_mark_is_in_every_still_or_in_none(settings, folder, tmp_path):
    assert not any(read_marks(folder.media_path(record)).found for record in folder.records()[:3])
    text = TEXT.replace("frames = 5", 'frames = 5\nmark = "both"').replace("size = 96", "size = 128")
    path = settings.with_name("marked.toml")
    path.write_text(text.replace("px = 128", "px = 160"))
    built(path, tmp_path / "set")
    marked = DatasetFolder.open(tmp_path / "set")
    pngs = [one for one in marked.records() if one.rendition == "png"]
    assert {one.label for one in pngs} == {"real", "fake"}
    assert all(read_marks(marked.media_path(one)).found for one in pngs)
    path.write_text(text.replace("px = 128", "px = 96"))
    with pytest.raises(ConfigError, match="a mark cannot be read in stills of 96 px"):
        plan_set(load_spec(path), tmp_path / "out", tmp_path / "work")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "x-self"}, "is taken"),
        ({"run": " "}, "no run is named"),
        ({"faces": 0}, "say faces or seeds"),
        ({"seeds": {"train": "0-3"}}, "say faces or seeds"),
        ({"faces": 0, "seeds": {"train": "0-3", "test": "3"}}, "seed 3 is in two splits"),
        ({"faces": {"dev": 3}}, "no split is called dev"),
        ({"faces": -1}, "faces must be 0 to"),
        ({"truncation": 0}, "truncation"),
        ({"px": 4}, "px must be"),
        ({"renditions": ()}, "renditions must have names"),
        ({"renditions": ("jpg33",)}, "no rendition of stills is named"),
        ({"quality_spread": 90}, "quality_spread is 90"),
        ({"softened": 2}, "softened is 2"),
        ({"softest": 1}, "softest is 1"),
        ({"real": 0}, "real is 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong, message):
    with pytest.raises(AssayError, match=message):
        GenerationConfig(**({"name": "nobody", "run": "run", "faces": 4} | wrong))


def test_faces_are_counted_by_split_and_seeds_follow_from_the_set(settings, tmp_path):
    text = TEXT.replace('seeds = { train = "0,1", test = "8,9" }', "faces = 3")
    path = settings.with_name("counted.toml")
    path.write_text(text)
    plan = plan_set(load_spec(path), tmp_path / "out", tmp_path / "work")
    tasks = [step.task for step in plan.steps_of("generate")]
    assert [len(task.seeds) for task in tasks] == [3, 3]
    path.write_text(text.replace("faces = 3", "faces = { train = 4, test = 3 }"))
    more = [step.task for step in plan_set(load_spec(path), tmp_path / "out", tmp_path / "work").steps_of("generate")]
    assert more[0].seeds[:3] == tasks[0].seeds
    assert more[1].seeds == tasks[1].seeds
    path.write_text(text.replace("faces = 3", "faces = { val = 4 }"))
    with pytest.raises(ConfigError, match="the val split has no people"):
        plan_set(load_spec(path), tmp_path / "out", tmp_path / "work")
    path.write_text(text.replace("frames = 5", "frames = 5\ncontrols = false"))
    with pytest.raises(ConfigError, match="without controls a set has no stills"):
        load_spec(path)


def test_the_command_shows_the_plan_and_says_what_is_wrong(settings, tmp_path):
    words = ["build", str(settings), "--out", str(tmp_path / "set"), "--dry-run"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert "nobody-self" in done.output
    assert "the val split has no real clip and no fake" in done.output.replace("\n", " ")
    assert not (tmp_path / "set").exists()
    path = settings.with_name("wrong.toml")
    path.write_text(TEXT.replace('run = "run"', 'run = "nowhere"'))
    refused = CliRunner().invoke(app, ["build", str(path), "--out", str(tmp_path / "set")])
    assert refused.exit_code == 1
    assert isinstance(refused.exception, CheckpointError) or "holds no generator" in refused.output
    path.write_text(TEXT.replace("[[generation]]", "[[generation]]\npixels = 3"))
    refused = CliRunner().invoke(app, ["build", str(path), "--out", str(tmp_path / "set")])
    assert refused.exit_code != 0


def test_a_set_of_stills_is_exported_where_a_layout_has_a_place_for_them(folder, tmp_path):
    import datasets

    with pytest.raises(ManifestError, match="is a still, for which the layout of videos has no place"):
        export_dataset("faceforensics", folder.path, tmp_path / "ff")
    for layout in ("webdataset", "deepfakebench"):
        assert export_dataset(layout, folder.path, tmp_path / layout).clips == len(folder.records())
    export_dataset("huggingface", folder.path, tmp_path / "hf")
    loaded = datasets.load_dataset(str(tmp_path / "hf"), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 12, "test": 10}
    row = next(row for row in loaded["test"] if row["kind"] == "generate" and row["rendition"] == "png")
    assert row["image"].size == (128, 128)
    assert "No mask goes with them" in (folder.path / "README.md").read_text()


def test_an_audit_of_the_set_measures_its_stills(folder, tmp_path):
    report, curves = audit_dataset(folder.path, out=tmp_path, config=AuditConfig(finder="none", trees=10, workers=1))
    assert report.unread == {}
    titles = {finding.title for finding in report.findings if finding.part == "all clips"}
    assert {"Quantisation tables", "Picture size", "Chroma subsampling", "Bytes per pixel", "Metadata"} < titles
    for probe in ("container", "dimensions", "metadata"):
        assert report.of(probe).area == 0.5
    assert {"png", "small"} < {finding.part for finding in report.findings}
    assert curves


def test_photographs_are_material_of_stills_and_of_nothing_else(settings, tmp_path):
    path = settings.with_name("photographs.toml")
    text = TEXT
    for name in ("ann", "bob", "cid"):
        with clip_reader(settings.with_name(f"{name}.mp4")) as reader:
            frame = next(reader.frames())
        settings.with_name(f"{name}.png").write_bytes(encode_png(frame.image))
        text = text.replace(f"{name}.mp4", f"{name}.png")
        table = settings.with_name(f"{name}.landmarks.parquet")
        assert table.is_file()
    path.write_text(text.replace("renditions = []", 'renditions = ["c23"]'))
    built(path, tmp_path / "set")
    made = DatasetFolder.open(tmp_path / "set")
    assert made.verify(deep=True) == []
    assert {one.frames for one in made.records()} == {1}
    # A photograph shows its person in one frame: of the two that were asked of the test split, one is made.
    assert sum(one.label == "real" and one.rendition == "png" for one in made.records()) == 3
    path.write_text(text.partition("[[generation]]")[0].replace("renditions = []", 'renditions = ["c23"]'))
    with pytest.raises(MediaError, match=r"ann.png is a picture, of which only stills are made"):
        plan_set(load_spec(path), tmp_path / "out", tmp_path / "work")


def test_people_in_photographs_alone_are_in_stills_and_in_no_swap_or_drive(settings, tmp_path, capsys):
    """Of the train split's ann, bob and dan, who is in a photograph, the swapper knows ann and bob."""
    photograph = tmp_path / "dan.png"
    photograph.write_bytes(encode_png(portrait(Actor.from_seed(5), px=96, seed=1).image))
    person = f'[[identity]]\nname = "dan"\nrights = "synthetic"\nclips = ["{photograph}"]\n'
    more = f"""
[[swapper]]
name = "small"
steps = [20]
[[manipulation]]
name = "swaps"
swapper = "small"
pairs = "PAIRS"
[[reenactment]]
name = "mouths"
pairs = "ring"
{person}"""
    text = settings.read_text().replace('train = ["ann", "bob"]', 'train = ["ann", "bob", "dan"]')
    assert '"dan"' in text
    path = settings.with_name("photograph.toml")
    text = text.replace("renditions = []", 'renditions = ["c23"]')
    path.write_text(text.replace("[[identity]]", more.replace("PAIRS", "ring") + "[[identity]]", 1))
    plan = plan_set(load_spec(path), tmp_path / "out", tmp_path / "work")
    assert "1 person in photographs alone" in capsys.readouterr().out
    assert [model.people for model in plan.models] == [("ann", "bob")]
    fakes = {clip.task.id.name.split("@")[0] for clip in plan.clips if clip.task.id.manipulation in ("swaps", "mouths")}
    assert not [name for name in fakes if "dan" in name]
    assert len(plan.steps_of("portraits")) > 2
    listed = more.replace('"PAIRS"', '[["dan", "ann"]]')
    path.write_text(text.replace("[[identity]]", listed + "[[identity]]", 1))
    with pytest.raises(ConfigError, match="swaps: dan is in photographs alone"):
        plan_set(load_spec(path), tmp_path / "out", tmp_path / "work")


def test_two_generations_by_one_generator_share_no_face_between_splits(settings, tmp_path):
    """Each has its own faces of equal seeds, in one split alone."""

    def with_second(seeds: str) -> Path:
        path = settings.with_name(f"{tmp_path.name}.toml")
        second = f'[[generation]]\nname = "second"\nrun = "run"\nseeds = {{ {seeds} }}\nrenditions = ["png"]\n'
        path.write_text(settings.read_text() + second)
        return path

    with pytest.raises(ConfigError, match="seed 8 is in the test split too"):
        plan_build(with_second('train = "8"'), tmp_path / "set", work=tmp_path / "work")
    built(with_second('train = "0,1"'), tmp_path / "set")
    folder = DatasetFolder.open(tmp_path / "set")
    assert folder.verify() == []
    assert by_split(folder)["train", "fake", "second"] == 2
