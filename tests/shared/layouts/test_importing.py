"""Importing other people's sets: each trap of each layout, on a small tree made here."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from shared import layouts  # noqa: F401 - fills the registries
from shared.dataset import DatasetFolder
from shared.errors import ManifestError, MediaError, UnknownNameError, UsageError
from shared.layouts.archive import ArchiveLimits, folders_of
from shared.layouts.deepfakebench import label_of
from shared.layouts.found import FoundClip, Pictures, Scan, ScanOptions
from shared.layouts.importing import ImportConfig, ImportReport, import_set, plan_import, scan_set
from shared.layouts.place import ranges_of
from shared.layouts.tree import natural, split_word
from shared.storage import sha256_file
from shared.video import VideoReader, read_mask_frames

_spec = importlib.util.spec_from_file_location("layout_trees", Path(__file__).with_name("conftest.py"))
assert _spec is not None
assert _spec.loader is not None
_trees = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_trees)
film, mask_video, picture, shade = _trees.film, _trees.mask_video, _trees.picture, _trees.shade

Assay = Callable[..., dict]
RIGHTS = ImportConfig(rights="terms of use", name="them")


def _scan(layout: str, root: Path, **options: object) -> Scan:
    return scan_set(layout, root, ScanOptions(**options))  # type: ignore[arg-type]


def _by_name(scan: Scan) -> dict[str, FoundClip]:
    return {f"{clip.manipulation or 'real'}/{clip.listed_name}": clip for clip in scan.clips}


def _imported(layout: str, root: Path, out: Path, config: ImportConfig = RIGHTS) -> tuple[DatasetFolder, ImportReport]:
    report = import_set(layout, root, out, config)
    return DatasetFolder.open(out), report


def _errors(dataset: DatasetFolder) -> list[str]:
    return [str(problem) for problem in dataset.verify() if problem.severity == "error"]


def _faults(scan: Scan) -> set[tuple[str, str]]:
    return {(issue.fault, issue.where) for issue in scan.issues}


@pytest.fixture
def faceforensics(tmp_path: Path) -> Path:
    """Four methods that all hold 000_003, a mask that is blank on one frame, one broken file, the official pairs."""
    root = tmp_path / "FF++"
    for index, number in enumerate(("000", "003")):
        film(root / "original_sequences/youtube/c23/videos" / f"{number}.mp4", start=index)
    for index, method in enumerate(("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")):
        film(root / f"manipulated_sequences/{method}/c23/videos/000_003.mp4", start=10 + index)
    film(root / "manipulated_sequences/Deepfakes/raw/videos/000_003.mp4", start=20)
    mask_video(root / "manipulated_sequences/Deepfakes/masks/videos/000_003.mp4", [True, False, True])
    film(root / "original_sequences/actors/c23/videos/01__walking.mp4", start=30)
    film(root / "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__walking__YVGY8LOK.mp4", start=31)
    for split, pairs in (("train", [["003", "000"]]), ("val", []), ("test", [["720", "672"]])):
        (root / f"{split}.json").write_text(json.dumps(pairs))
    return root


def test_one_pair_in_four_methods_stays_four_clips(faceforensics: Path, tmp_path: Path):
    dataset, report = _imported("faceforensics", faceforensics, tmp_path / "set")
    names = {str(record.id) for record in dataset.records()}
    for method in ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures"):
        assert f"them/{method}/000_003@c23" in names
    assert len(names) == report.listed == 9
    by_id = {str(record.id): record for record in dataset.records()}
    fake = by_id["them/Face2Face/000_003@c23"]
    assert (fake.target_identity, fake.source_identity, fake.kind, fake.split) == ("000", "003", "reenact", "train")
    assert str(fake.parent) == "them/real/000@c23"
    assert {issue.where for issue in report.issues if issue.fault == "missing"} == {"672", "720"}
    assert _errors(dataset) == []


def test_the_compression_level_is_the_rendition_and_raw_is_c0(faceforensics: Path):
    clips = _by_name(_scan("faceforensics", faceforensics))
    assert "Deepfakes/000_003@c0" in clips
    only = _scan("faceforensics", faceforensics, renditions=("raw",))
    assert [clip.listed_name for clip in only.clips] == ["000_003@c0"]


def test_actors_are_not_videos_of_the_same_number(faceforensics: Path):
    clips = _by_name(_scan("faceforensics", faceforensics))
    fake = clips["DeepFakeDetection/01_02__walking__YVGY8LOK@c23"]
    assert (fake.target, fake.source, fake.split) == ("actor-01", "actor-02", None)
    assert fake.parent == clips["real/actor-01__walking@c23"].name


def test_a_mask_says_which_frames_are_forged_and_that_it_is_a_box(faceforensics: Path, tmp_path: Path):
    dataset, _ = _imported("faceforensics", faceforensics, tmp_path / "set")
    record = next(record for record in dataset.records() if str(record.id) == "them/Deepfakes/000_003@c23")
    assert record.faked == ((0, 1), (2, 3))
    assert record.factors["mask_shape"] == "box"
    assert [label.label for label in dataset.frame_labels(record.id)] == ["fake", "real", "fake"]
    masks = list(read_mask_frames(dataset.mask_paths(record)["changed"]))
    assert masks[0][10, 12] == 255
    assert masks[0][2, 2] == 0
    assert set(np.unique(np.stack(masks))) == {0, 255}


def test_a_mask_that_does_not_fit_is_said_and_left_out(faceforensics: Path, tmp_path: Path):
    path = faceforensics / "manipulated_sequences/Deepfakes/masks/videos/000_003.mp4"
    mask_video(path, [True, True])
    dataset, report = _imported("faceforensics", faceforensics, tmp_path / "set")
    assert any("the mask has 2 frames, the clip 3" in issue.message for issue in report.issues)
    record = next(record for record in dataset.records() if str(record.id) == "them/Deepfakes/000_003@c23")
    assert (record.masks, record.faked) == (None, ((0, 3),))
    assert _errors(dataset) == []


def test_clips_are_imported_byte_for_byte_with_their_place_and_hash(faceforensics: Path, tmp_path: Path):
    before = {path: sha256_file(path) for path in faceforensics.rglob("*.mp4")}
    dataset, _ = _imported("faceforensics", faceforensics, tmp_path / "set")
    for record in dataset.records():
        place = faceforensics / record.factors["source_path"]
        assert record.sha256 == record.factors["original_sha256"] == before[place]
        assert record.factors["imported"] == "faceforensics"
        assert record.rights == "terms of use"
    assert {path: sha256_file(path) for path in before} == before
    assert "as other people made them" in (dataset.path / "README.md").read_text()


def test_linked_clips_share_their_bytes(faceforensics: Path, tmp_path: Path):
    config = ImportConfig(rights="terms", name="them", link=True)
    dataset, report = _imported("faceforensics", faceforensics, tmp_path / "set", config)
    record = dataset.records()[0]
    assert report.linked == report.listed
    assert dataset.media_path(record).samefile(faceforensics / record.factors["source_path"])


def test_damaged_files_are_listed_and_an_import_goes_on_where_it_stopped(faceforensics: Path, tmp_path: Path):
    broken = faceforensics / "original_sequences/youtube/c23/videos/003.mp4"
    good = broken.read_bytes()
    broken.write_bytes(b"not a video at all")
    empty = faceforensics / "original_sequences/youtube/c23/videos/004.mp4"
    empty.write_bytes(b"")
    dataset, report = _imported("faceforensics", faceforensics, tmp_path / "set")
    damaged = {issue.where for issue in report.issues if issue.fault == "damaged"}
    assert damaged == {f"original_sequences/youtube/c23/videos/{name}.mp4" for name in ("003", "004")}
    assert report.listed == 8
    assert not list(dataset.path.rglob("003@c23*"))
    said = json.loads((dataset.path / "import.json").read_text())
    assert said["faults"]["damaged"] == 2
    broken.write_bytes(good)
    again = import_set("faceforensics", faceforensics, tmp_path / "set", RIGHTS)
    assert again.listed == 9
    assert _errors(DatasetFolder.open(tmp_path / "set")) == []


def test_a_dry_run_counts_and_writes_nothing(assay: Assay, faceforensics: Path, tmp_path: Path):
    arguments = ("import", "faceforensics", faceforensics, tmp_path / "set", "--rights", "terms", "--dry-run")
    report = assay(*arguments)
    counts = {(row["split"], row["manipulation"], row["rendition"]): row["clips"] for row in report["counts"]}
    assert counts[("train", "Deepfakes", "c23")] == counts[("train", "Deepfakes", "c0")] == 1
    assert counts[("train", "-", "c23")] == 2
    assert report["faults"] == {"missing": 2}
    assert not (tmp_path / "set").exists()
    with pytest.raises(ManifestError, match="2 faults"):
        assay(*arguments, "--strict")


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


def _tar(path: Path, members: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return path


def _png(tmp_path: Path, number: int) -> bytes:
    return picture(tmp_path / "one.png", number).read_bytes()


def test_wilddeepfake_sequences_become_lossless_clips_in_order_of_number(tmp_path: Path):
    root = tmp_path / "wild"
    names = ("10", "2", "1")
    _tar(root / "real_train/7.tar.gz", {f"7/real/{name}.png": _png(tmp_path, int(name)) for name in names})
    _tar(root / "fake test/3.tar.gz", {f"./3/fake/{seq}/0.png": _png(tmp_path, 40 + seq) for seq in (0, 1)})
    dataset, report = _imported("wilddeepfake", root, tmp_path / "set")
    by_name = {record.id.name: record for record in dataset.records()}
    assert set(by_name) == {"real-train-7-real", "fake-test-3-3-fake-0", "fake-test-3-3-fake-1"}
    real = by_name["real-train-7-real"]
    assert (real.frames, real.codec, real.split) == (3, "ffv1", "train")
    assert (real.factors["sequence"], real.factors["rate"]) == ("pictures", "nominal-25")
    with VideoReader(dataset.media_path(real)) as reader:
        frames = [frame.image for frame in reader]
    assert all(np.array_equal(frame, shade(number, 16, 16)) for frame, number in zip(frames, (1, 2, 10), strict=True))
    assert report.issues == ()
    assert _errors(dataset) == []


def test_nothing_leaves_a_hostile_archive(tmp_path: Path):
    root = tmp_path / "wild"
    good = _png(tmp_path, 1)
    members = {"../../escaped.png": good, "/tmp/absolute.png": good, "1/real/0.png": good}
    _tar(root / "real train/1.tar.gz", members, {"1/real/1.png": "../../../../etc/hostname"})
    dataset, report = _imported("wilddeepfake", root, tmp_path / "set")
    assert len(dataset) == 1
    assert dataset.records()[0].frames == 1
    assert sum(issue.fault == "outside" for issue in report.issues) == 3
    assert not list(tmp_path.parent.rglob("escaped.png"))


def test_archives_that_unpack_to_too_much_or_are_cut_short_are_damaged(tmp_path: Path):
    bomb = _tar(tmp_path / "bomb.tar.gz", {"a/0.png": bytes(300_000), "a/1.png": bytes(300_000)})
    with pytest.raises(MediaError, match="larger than 0 MiB"):
        folders_of(bomb, ArchiveLimits(max_member_bytes=100_000))
    with pytest.raises(MediaError, match="unpacks to more"):
        folders_of(bomb, ArchiveLimits(max_bytes=400_000))
    with pytest.raises(MediaError, match="more than 1 members"):
        folders_of(bomb, ArchiveLimits(max_members=1))
    header = tarfile.TarInfo("x").tobuf(tarfile.GNU_FORMAT)
    lying = tarfile.TarInfo("././@LongLink")
    lying.type, lying.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    (tmp_path / "lying.tar.gz").write_bytes(gzip.compress(lying.tobuf(tarfile.GNU_FORMAT) + header))
    with pytest.raises(MediaError, match="larger than a picture"):
        folders_of(tmp_path / "lying.tar.gz")
    root = tmp_path / "wild"
    whole = _tar(root / "real train/1.tar.gz", {"a/0.png": np.random.default_rng(0).bytes(50_000)})
    whole.write_bytes(whole.read_bytes()[:20_000])
    assert ("damaged", "real train/1.tar.gz") in _faults(_scan("wilddeepfake", root))


def test_frames_of_several_sizes_are_listed_not_resized(tmp_path: Path):
    picture(tmp_path / "set/real/a/0.png", 0)
    picture(tmp_path / "set/real/a/1.png", 1, size=(24, 24))
    picture(tmp_path / "set/fake/b/0.png", 2)
    dataset, report = _imported("folders", tmp_path / "set", tmp_path / "out")
    assert [record.id.name for record in dataset.records()] == ["b"]
    assert any("24x24" in issue.message for issue in report.issues)


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
    assert {issue.fault for issue in scan.issues} == {"contradiction", "outside", "missing", "unknown-label"}
    listed = assay("import", "csv", root, tmp_path / "set", "--rights", "mine", "--label", "1=fake", "--splits", "none")
    assert (listed["listed"], listed["faults"]["missing"]) == (3, 1)
    (root / "clips.csv").write_text("path\n")
    with pytest.raises(ManifestError, match="no column label"):
        _scan("csv", root)


def test_what_the_command_refuses(assay: Assay, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    out = tmp_path / "set"
    with pytest.raises(UnknownNameError, match="faceforensic"):
        assay("import", "faceforensic", tmp_path, out, "--rights", "mine")
    with pytest.raises(UsageError, match="is not a folder"):
        assay("import", "uadfv", tmp_path / "nowhere", out, "--rights", "mine")
    with pytest.raises(UsageError, match="on what basis"):
        assay("import", "uadfv", tmp_path / "empty", out, "--rights", " ")
    with pytest.raises(ManifestError, match="holds no clip"):
        assay("import", "uadfv", tmp_path / "empty", out, "--rights", "mine")
    with pytest.raises(UsageError, match="--label"):
        assay("import", "csv", tmp_path / "empty", out, "--rights", "mine", "--label", "1=maybe")
    with pytest.raises(UsageError, match="--splits"):
        assay("import", "csv", tmp_path / "empty", out, "--rights", "mine", "--splits", "mine")
    film(tmp_path / "inside/real/a.mp4")
    with pytest.raises(UsageError, match="lies in"):
        assay("import", "folders", tmp_path / "inside", tmp_path / "inside/set", "--rights", "mine")
    assert not out.exists()


def test_a_link_out_of_the_set_is_left_out(tmp_path: Path):
    film(tmp_path / "secret.mp4")
    film(tmp_path / "set/real/a.mp4", start=1)
    (tmp_path / "set/real/b.mp4").symlink_to(tmp_path / "secret.mp4")
    scan = _scan("folders", tmp_path / "set")
    assert [clip.name for clip in scan.clips] == ["a"]
    assert ("outside", "real/b.mp4") in _faults(scan)


def test_order_splits_and_ranges_by_hand():
    assert sorted(["f10.png", "f2.png", "f1.png"], key=natural) == ["f1.png", "f2.png", "f10.png"]
    assert [split_word(text) for text in ("fake train", "Validation", "train-test", "contest")] == [
        "train",
        "val",
        None,
        None,
    ]
    assert ranges_of([False, True, True, False, True]) == ((1, 3), (4, 5))
