"""The traps of each layout, on small trees made here."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import typer

from shared.commands.dataset import app
from shared.console import console
from shared.dataset import DatasetFolder
from shared.dataset.formats.deepfakebench import label_of
from shared.dataset.formats.found import Pictures
from shared.dataset.formats.importing import ImportConfig, plan_import
from shared.errors import ManifestError

_spec = importlib.util.spec_from_file_location("layout_trees", Path(__file__).with_name("conftest.py"))
assert _spec is not None
assert _spec.loader is not None
_trees = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_trees)
film, mask_video, picture, shade = _trees.film, _trees.mask_video, _trees.picture, _trees.shade

Assay = Callable[..., dict]
RIGHTS = _trees.RIGHTS
_scan, _by_name, _imported = _trees.scan, _trees.by_name, _trees.imported
_errors, _faults = _trees.errors, _trees.faults


def _celeb(root: Path, between: str = "") -> Path:
    for index, place in enumerate(("Celeb-real/{}id0_0000", "YouTube-real/{}00170", "Celeb-real/{}id1_0001")):
        film(root / f"{place.format(between)}.mp4", start=index)
    for index, name in enumerate(("id0_id1_0000", "id1_id0_0001")):
        film(root / f"Celeb-synthesis/{between}{name}.mp4", start=10 + index)
    (root / "List_of_testing_videos.txt").write_text(
        "1 YouTube-real/00170.mp4\n1 Celeb-real/id0_0000.mp4\n0 Celeb-synthesis/id0_id1_0000.mp4\n"
    )
    return root


@pytest.mark.parametrize("between", ["", "videos/"])
def test_label_1_of_celeb_df_is_real_and_test_videos_are_not_in_train(tmp_path: Path, between: str):
    scan = _scan("celeb-df", _celeb(tmp_path / "cdf", between))
    clips = _by_name(scan)
    assert scan.issues == ()
    assert {name: (clip.label, clip.split) for name, clip in clips.items()} == {
        "real/id0_0000": ("real", "test"),
        "real/id1_0001": ("real", "train"),
        "real/youtube-00170": ("real", "test"),
        "Celeb-synthesis/id0_id1_0000": ("fake", "test"),
        "Celeb-synthesis/id1_id0_0001": ("fake", "train"),
    }
    fake = clips["Celeb-synthesis/id0_id1_0000"]
    assert (fake.target, fake.source, fake.parent) == ("id0", "id1", "id0_0000")


def test_celeb_df_people_in_train_and_test_are_said_and_can_be_split_anew(tmp_path: Path):
    root = _celeb(tmp_path / "cdf")
    report = plan_import("celeb-df", root, RIGHTS)
    assert any("identity id0 in train" in leak for leak in report.leaks)
    dataset, done = _imported("celeb-df", root, tmp_path / "set")
    assert set(done.leaks) >= set(report.leaks)
    assert {record.split for record in dataset.records()} == {"train", "test"}
    dropped = ImportConfig(rights="terms", name="them", splits="none")
    fresh, none = _imported("celeb-df", root, tmp_path / "none", dropped)
    assert none.leaks == ()
    assert {record.split for record in fresh.records()} == {None}


def test_one_video_in_celeb_dfs_train_and_test_is_found_by_its_bytes(tmp_path: Path):
    root = _celeb(tmp_path / "cdf")
    copy = root / "Celeb-real/id7_0009.mp4"
    copy.write_bytes((root / "Celeb-real/id0_0000.mp4").read_bytes())
    _, report = _imported("celeb-df", root, tmp_path / "set")
    assert any(leak.startswith("pictures ") for leak in report.leaks)


def test_a_celeb_df_list_that_contradicts_the_folder_or_names_what_is_not_there(tmp_path: Path):
    root = _celeb(tmp_path / "cdf")
    (root / "List_of_testing_videos.txt").write_text("0 Celeb-real/id0_0000.mp4\n1 YouTube-real/404.mp4\nnonsense\n")
    assert _faults(_scan("celeb-df", root)) == {
        ("contradiction", "Celeb-real/id0_0000.mp4"),
        ("missing", "YouTube-real/404"),
        ("unknown-label", "List_of_testing_videos.txt, line 3"),
    }
    (root / "List_of_testing_videos.txt").unlink()
    scan = _scan("celeb-df", root)
    assert {clip.split for clip in scan.clips} == {None}
    assert ("missing", "List_of_testing_videos.txt") in _faults(scan)


def test_celeb_df_plus_plus_names_its_methods(tmp_path: Path):
    root = tmp_path / "cdfpp"
    film(root / "Celeb-real/id0_0000.mp4")
    film(root / "Celeb-synthesis/FaceSwap/SimSwap/id0_id1_0000.mp4", start=1)
    film(root / "Celeb-synthesis/TalkingFace/SadTalker/videos/id0_0000.mp4", start=2)
    (root / "List_of_testing_videos.txt").write_text("0 Celeb-synthesis/TalkingFace/SadTalker/id0_0000.mp4\n")
    clips = _by_name(_scan("celeb-df", root))
    assert clips["SimSwap/id0_id1_0000"].split == "train"
    talking = clips["SadTalker/id0_0000"]
    assert (talking.kind, talking.target, talking.source, talking.split) == ("reenact", "id0", None, "test")


def test_dfdc_real_clips_have_no_original_and_fakes_stay_with_theirs(tmp_path: Path):
    root = tmp_path / "dfdc"
    part = root / "dfdc_train_part_0"
    for index, name in enumerate(("real", "null", "fake", "stray")):
        film(part / f"{name}.mp4", start=index)
    entries = {
        "real.mp4": {"label": "REAL", "split": "train"},
        "null.mp4": {"label": "REAL", "split": "train", "original": None},
        "fake.mp4": {"label": "FAKE", "split": "train", "original": "real.mp4"},
        "gone.mp4": {"label": "FAKE", "split": "train", "original": "real.mp4"},
        "../x.mp4": {"label": "FAKE", "split": "train", "original": "real.mp4"},
    }
    (part / "metadata.json").write_text(json.dumps(entries))
    film(root / "test/a.mp4", start=8)
    film(root / "test/b.mp4", start=9)
    (root / "test/labels.csv").write_text("filename,label\na.mp4,0\nb.mp4,1\n")
    dataset, report = _imported("dfdc", root, tmp_path / "set")
    by_name = {record.id.name: record for record in dataset.records()}
    assert by_name["fake"].target_identity == by_name["real"].target_identity == "video-real"
    assert str(by_name["fake"].parent) == "them/real/real"
    assert {name: (record.label, record.split) for name, record in by_name.items()} == {
        "real": ("real", "train"),
        "null": ("real", "train"),
        "fake": ("fake", "train"),
        "a": ("real", "test"),
        "b": ("fake", "test"),
    }
    assert {(issue.fault, issue.where) for issue in report.issues} == {
        ("missing", "dfdc_train_part_0/gone.mp4"),
        ("outside", "../x.mp4"),
        ("unlisted", "dfdc_train_part_0/stray.mp4"),
    }
    assert _errors(dataset) == []


def test_dfdc_preview_is_read_from_its_list(tmp_path: Path):
    root = tmp_path / "dfdcp"
    for index, place in enumerate(("method_A/12/12_A_001", "original_videos/12/12_A_001")):
        film(root / f"{place}.mp4", start=index)
    listed = {
        "method_A/12/12_A_001.mp4": {"label": "fake", "set": "test", "target_id": "12", "swapped_id": "34"},
        "original_videos/12/12_A_001.mp4": {"label": "real", "set": "test", "target_id": "12"},
        "method_B/12/gone.mp4": {"label": "fake", "set": "train"},
        "original_videos/12/odd.mp4": {"label": "maybe", "set": "train"},
    }
    (root / "dataset.json").write_text(json.dumps(listed))
    scan = _scan("dfdc-preview", root)
    fake, real = scan.clips
    assert (fake.label, fake.manipulation, fake.target, fake.source) == ("fake", "method_A", "person-12", "person-34")
    assert (real.label, real.target, real.split) == ("real", "person-12", "test")
    faults = {("missing", "method_B/12/gone.mp4"), ("unknown-label", "original_videos/12/odd.mp4")}
    assert _faults(scan) == faults
    (root / "dataset.json").write_text("[]")
    with pytest.raises(ManifestError, match="not an object"):
        _scan("dfdc-preview", root)


def test_deeperforensics_variants_are_renditions_and_actors_are_no_controls(tmp_path: Path):
    root = tmp_path / "df"
    film(root / "manipulated_videos/end_to_end/000_W101.mp4")
    film(root / "manipulated_videos/end_to_end_level_3/000_W101.mp4", start=1)
    film(root / "source_videos/W101/light_up/happy/W101_light_up_happy_camera_front.mp4", start=2)
    film(root / "target_videos/000.mp4", start=3)
    for split, names in (("train", "000_W101.mp4\n"), ("val", ""), ("test", "001_W102.mp4\n")):
        (root / "lists/splits").mkdir(parents=True, exist_ok=True)
        (root / f"lists/splits/{split}.txt").write_text(names)
    scan = _scan("deeperforensics", root)
    clips = _by_name(scan)
    assert clips["DF-VAE/000_W101@end_to_end"].split == "train"
    assert clips["DF-VAE/000_W101@end_to_end_level_3"].source == "actor-W101"
    assert clips["real/000"].split == "train"
    source = clips["real/source-W101_light_up_happy_camera_front"]
    assert (source.split, source.factors["role"]) == (None, "source")
    assert _faults(scan) == {("missing", "001_W102")}


def test_uadfv_pairs_by_number(tmp_path: Path):
    root = tmp_path / "uadfv"
    film(root / "real/0000.mp4")
    film(root / "fake/0000_fake.mp4", start=1)
    film(root / "fake/0007_fake.mp4", start=2)
    scan = _scan("uadfv", root)
    clips = _by_name(scan)
    assert clips["FakeApp/0000_fake"].parent == "0000"
    assert clips["FakeApp/0000_fake"].target == clips["real/0000"].target
    assert _faults(scan) == {("missing", "fake/0007_fake.mp4")}


def test_ffiws_source_is_real_and_target_is_forged(tmp_path: Path):
    root = tmp_path / "ffiw"
    film(root / "source/train/videos/a.mp4")
    film(root / "target/val/a.mp4", start=1)
    clips = _by_name(_scan("ffiw", root))
    assert clips["real/train-a"].split == "train"
    assert clips["FFIW/val-a"].split == "val"


def test_df40_methods_domains_and_integer_order(tmp_path: Path):
    root = tmp_path / "DF40"
    for name in ("2", "10", "1"):
        picture(root / f"simswap/ff/frames/000_003/{name}.png", int(name))
    picture(root / "simswap/ff/landmarks/000_003/1.png", 3)
    picture(root / "deepfacelab/real/12/0.png", 4)
    picture(root / "StyleGAN2/cdf/frames/id0_id1_0000/0.png", 5)
    clips = _by_name(_scan("df40", root))
    assert set(clips) == {"simswap/ff-000_003", "real/deepfacelab-12", "StyleGAN2/cdf-id0_id1_0000"}
    swap = clips["simswap/ff-000_003"]
    assert isinstance(swap.media, Pictures)
    assert [path.stem for path in swap.media.files] == ["1", "2", "10"]
    assert (swap.target, swap.source) == ("ff-000", "ff-003")
    assert clips["StyleGAN2/cdf-id0_id1_0000"].kind == "generate"
    assert clips["StyleGAN2/cdf-id0_id1_0000"].source == "cdf-id1"


def _bench(root: Path, content: object) -> Path:
    (root / "dataset_json").mkdir(parents=True, exist_ok=True)
    (root / "dataset_json/list.json").write_text(json.dumps(content))
    return root


def test_deepfakebench_with_a_compression_level_masks_and_foreign_paths(tmp_path: Path):
    root = tmp_path / "bench"
    for name in ("2", "10"):
        picture(root / f"rgb/FF/c23/frames/000_003/{name}.png", int(name))
        picture(root / f"rgb/FF/c23/masks/000_003/{name}.png", 60)
    frames = [f"D:\\datasets\\rgb\\FF\\c23\\frames\\000_003\\{name}.png" for name in ("10", "2")]
    entry = {"label": "FF-DF", "frames": frames, "masks": [path.replace("frames", "masks") for path in frames]}
    _bench(root, {"FF-DF": {"FF-DF": {"train": {"c23": {"000_003": entry}}, "val": {}, "test": {}}}})
    (clip,) = _scan("deepfakebench", root).clips
    assert (clip.rendition, clip.manipulation, clip.target, clip.source) == ("c23", "Deepfakes", "000", "003")
    assert isinstance(clip.media, Pictures)
    assert [path.stem for path in clip.media.files] == ["2", "10"]
    dataset, _ = _imported("deepfakebench", root, tmp_path / "set")
    assert dataset.records()[0].masks is not None
    assert _errors(dataset) == []


def test_deepfakebenchs_test_videos_in_train_count_as_test_and_are_leaks(tmp_path: Path):
    root = tmp_path / "bench"
    for name in ("id0_0000", "id1_0000"):
        picture(root / f"frames/{name}/0.png", len(name))
    listed = {
        name: {"label": "CelebDFv2_real", "frames": [f"frames/{name}/0.png"]} for name in ("id0_0000", "id1_0000")
    }
    test = {"id0_0000": listed["id0_0000"]}
    _bench(root, {"Celeb-DF-v2": {"CelebDFv2_real": {"train": listed, "val": test, "test": test}}})
    scan = _scan("deepfakebench", root)
    assert {clip.name: clip.split for clip in scan.clips} == {"id0_0000": "test", "id1_0000": "train"}
    assert {clip.target for clip in scan.clips} == {"id0", "id1"}
    assert _faults(scan) == {("leak", "CelebDFv2_real/id0_0000")}


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("FF-real", "real"),
        ("FF-SH", "fake"),
        ("DFDCP_FakeB", "fake"),
        ("DFDCP_Real", "real"),
        ("DFD_fake", "fake"),
        ("roop_Real", "real"),
        ("FF-XX", None),
        ("unreal", None),
    ],
)
def test_label_words_of_deepfakebench(word: str, label: str | None):
    assert label_of(word, {}) == label
    assert label_of(word, {word: "real"}) == "real"


def test_deepfakebench_of_another_shape_or_with_unknown_words_is_refused_or_listed(tmp_path: Path):
    root = _bench(tmp_path / "bench", {"X": {"Y": {"train": {"c23": {"a": {"label": "Y"}}}}}})
    with pytest.raises(ManifestError, match="lists no frames"):
        _scan("deepfakebench", root)
    picture(root / "f/0.png", 1)
    entry = {"label": "Y", "frames": ["f/0.png", "../../f/0.png"]}
    _bench(root, {"X": {"Y": {"train": {"a": entry}}}})
    assert ("unknown-label", "Y/a") in _faults(_scan("deepfakebench", root))
    scan = _scan("deepfakebench", root, labels={"Y": "fake"})
    assert [clip.label for clip in scan.clips] == ["fake"]
    assert ("outside", "../../f/0.png") in _faults(scan)
    assert ("missing", "Y/a") in _faults(scan)


def test_folders_of_real_and_fake(tmp_path: Path):
    root = tmp_path / "any"
    film(root / "train/real/ann/one.mp4")
    film(root / "test/fake/faceswap/two.mp4", start=1)
    film(root / "fake/three.mov", start=2)
    clips = _by_name(_scan("folders", root))
    assert clips["real/train-ann-one"].target == "ann"
    assert clips["faceswap/test-two"].split == "test"
    assert clips["fake/three"].split is None


def test_a_table_of_clips(assay: Assay, tmp_path: Path):
    root = tmp_path / "any"
    film(root / "a/one.mp4")
    film(root / "a/two.mp4", start=1)
    rows = (
        "path,label,identity,source,manipulation,split\na/one.mp4,real,ann,,,train\na/two.mp4,FAKE,bob,ann,roop,oops\n"
    )
    (root / "clips.csv").write_text(f"{rows}../x.mp4,real,,,,\na/one.mp4,1,,,,\n", encoding="utf-8-sig")
    scan = _scan("csv", root)
    real, fake = scan.clips
    assert (real.target, real.split, real.label) == ("ann", "train", "real")
    assert (fake.source, fake.manipulation, fake.split) == ("ann", "roop", None)
    assert [issue.fault for issue in scan.issues] == ["contradiction", "outside", "unknown-label"]
    listed = assay("import", "csv", root, tmp_path / "set", "--rights", "mine", "--label", "1=fake", "--splits", "none")
    assert (listed["listed"], listed["named"], listed["faults"]) == (3, 4, {"contradiction": 1, "outside": 1})
    (root / "clips.csv").write_text("path\n")
    with pytest.raises(ManifestError, match="no column label"):
        _scan("csv", root)


def test_a_picture_in_a_table_stays_the_file_that_it_is(assay: Assay, tmp_path: Path):
    root = tmp_path / "any"
    for name, label in (("ann.jpg", 0), ("nobody.png", 90)):
        picture(root / "made.png", label)
        still = cv2.imread(str(root / "made.png"))
        assert cv2.imwrite(str(root / name), still)
    (root / "torn.jpg").write_bytes((root / "ann.jpg").read_bytes()[:300])
    rows = "ann.jpg,real,ann,,\nnobody.png,fake,nobody-1,gan,generate\ntorn.jpg,real,bob,,\n"
    (root / "stills.csv").write_text(f"path,label,identity,manipulation,kind\n{rows}")
    found = assay("import", "csv", root, tmp_path / "set", "--rights", "mine", "--splits", "none")
    assert (found["listed"], found["faults"]) == (2, {"damaged": 1})
    folder = DatasetFolder.open(tmp_path / "set")
    for record in folder.records():
        name = {"real": "ann.jpg", "fake": "nobody.png"}[record.label]
        assert folder.media_path(record).read_bytes() == (root / name).read_bytes()
        assert (record.frames, record.factors["imported"]) == (1, "csv")
    assert not [problem for problem in folder.verify(deep=True) if problem.severity == "error"]


@pytest.mark.parametrize("as_folder", [False, True])
def test_a_clip_behind_a_link_that_leads_out_is_one_fault_and_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], as_folder: bool
):
    """A folder of links to clips elsewhere: each is left out, told once, and not lost from the count."""
    root, away = tmp_path / "set", tmp_path / "away"
    film(root / "own.mp4")
    names = [f"{number}" if as_folder else f"{number}.mp4" for number in range(3)]
    for number, name in enumerate(names):
        if as_folder:
            picture(away / name / "0.png", number)
        else:
            film(away / name, start=1 + number)
        (root / name).symlink_to(away / name)
    (root / "list.csv").write_text("path,label\nown.mp4,real\n" + "".join(f"{name},fake\n" for name in names))
    scan = _scan("csv", root)
    assert [(issue.fault, issue.where) for issue in scan.issues] == [("outside", name) for name in names]
    assert "copy the file" in scan.issues[0].message
    console.configure()
    command = typer.main.get_command(app)
    arguments = ["import", "csv", str(root), str(tmp_path / "ours"), "--rights", "mine", "--link"]
    command.main(arguments, prog_name="dataset", standalone_mode=False)
    said = capsys.readouterr().out
    assert "holds 1 of 4 clips, 1 by hard link" in said.replace("\n", " ")
    assert "3 faults" in said


def test_a_path_that_no_file_system_holds_is_missing(tmp_path: Path):
    root = tmp_path / "set"
    film(root / "a.mp4")
    (root / "list.csv").write_text(f"path,label\na.mp4,real\n{'x' * 70_000},real\n{'y/' * 3000},real\n")
    found = _scan("csv", root)
    assert [issue.fault for issue in found.issues].count("missing") == 2
    assert len(found.clips) == 1
