"""Imports of FaceForensics++ and of picture archives as datasets; what is refused, what is listed."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from shared.dataset import DatasetFolder
from shared.dataset.formats.archive import ArchiveLimits, folders_of
from shared.dataset.formats.importing import ImportConfig, import_set
from shared.dataset.formats.place import ranges_of
from shared.dataset.formats.tree import natural, split_word
from shared.engine.tasks import Done, Task
from shared.errors import ManifestError, MediaError, UnknownNameError, UsageError
from shared.storage import sha256_file
from shared.video import VideoReader, read_mask_frames

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


def test_the_manifest_does_not_depend_on_who_is_done_first(faceforensics: Path, tmp_path: Path):
    class Backwards:
        def run(self, tasks: Sequence[Task]) -> Iterator[Done]:
            yield from (Done(task.key, task.function(*task.arguments), 0.0) for task in reversed(tasks))

    _imported("faceforensics", faceforensics, tmp_path / "one")
    import_set("faceforensics", faceforensics, tmp_path / "two", RIGHTS, engine=Backwards())
    assert (tmp_path / "one/manifest.jsonl").read_bytes() == (tmp_path / "two/manifest.jsonl").read_bytes()


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
    with pytest.raises(MediaError, match="a header of it claims"):
        folders_of(tmp_path / "lying.tar.gz")
    root = tmp_path / "wild"
    whole = _tar(root / "real train/1.tar.gz", {"a/0.png": np.random.default_rng(0).bytes(50_000)})
    whole.write_bytes(whole.read_bytes()[:20_000])
    assert ("damaged", "real train/1.tar.gz") in _faults(_scan("wilddeepfake", root))


def test_a_sparse_member_is_left_out_whatever_it_claims(tmp_path: Path):
    sparse = tarfile.TarInfo("1/0.png")
    sparse.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(sparse.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"%011o\0" % (1 << 30)  # the size that it has once it is unpacked
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:]))
    (tmp_path / "sparse.tar").write_bytes(bytes(header) + bytes(1024))
    found = folders_of(tmp_path / "sparse.tar")
    assert found.counts == {}
    assert "is sparse" in found.refused[0]


def test_frames_of_several_sizes_are_listed_not_resized(tmp_path: Path):
    picture(tmp_path / "set/real/a/0.png", 0)
    picture(tmp_path / "set/real/a/1.png", 1, size=(24, 24))
    picture(tmp_path / "set/fake/b/0.png", 2)
    dataset, report = _imported("folders", tmp_path / "set", tmp_path / "out")
    assert [record.id.name for record in dataset.records()] == ["b"]
    assert any("24x24" in issue.message for issue in report.issues)


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
