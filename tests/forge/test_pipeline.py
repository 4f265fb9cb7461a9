from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from forge.export import save_swapper, swapper_digest
from forge.masks import MASK_KINDS
from forge.models import build_swapper
from forge.pipeline import swap_clip
from forge.signed_list import read_signed
from forge.swap_config import ColorConfig, MaskConfig, OutputConfig, SwapConfig
from shared.config import digest
from shared.dataset import DatasetFolder
from shared.errors import CheckpointError, MediaError, NoFaceError, ProvenanceError, StorageError, UsageError
from shared.faces.align import MEAN_FACE
from shared.provenance import read_provenance
from shared.storage import sha256_file
from shared.types import ClipId, Timestamp
from shared.video import Encoding, VideoReader, VideoWriter, audio_digest, frame_times, probe, read_mask_frames

WIDTH, HEIGHT, FRAMES = 112, 96, 14
BASE = Fraction(1, 50)
TICKS = [3, 5, 7, 9, 11, 14, 16, 18, 20, 22, 24, 26, 28, 30]
EMPTY = (4, 5, 13)
FAST = OutputConfig(preset="ultrafast")


def _write_sound(path: Path) -> Path:
    wave = (8000 * np.sin(np.arange(16_000) * 0.05)).astype(np.int16)[None]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000)
        frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _landmarks(frame: int) -> np.ndarray:
    return (MEAN_FACE * 44 + [32 + frame * 0.8, 26]).astype(np.float32)


def _picture(frame: int, rng: np.random.Generator) -> np.ndarray:
    picture = np.clip(rng.normal(90, 5, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)
    if frame not in EMPTY:
        outline = cv2.convexHull(_landmarks(frame).round().astype(np.int32))
        cv2.fillConvexPoly(picture, outline, (190, 150, 130))
        for eye in (range(36, 42), range(42, 48), range(48, 60)):
            cv2.fillConvexPoly(
                picture, cv2.convexHull(_landmarks(frame)[list(eye)].round().astype(np.int32)), (60, 30, 30)
            )
    return picture


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip with sound, an uneven frame rate, a late start, and three frames without a face; landmarks beside it."""
    folder = tmp_path_factory.mktemp("target")
    path = folder / "bob at home.mp4"
    rng = np.random.default_rng(4)
    sound = _write_sound(folder / "sound.m4a")
    with VideoWriter(path, width=WIDTH, height=HEIGHT, time_base=BASE, frame_rate=None, audio_from=sound) as writer:
        for frame, tick in enumerate(TICKS):
            writer.write(_picture(frame, rng), Timestamp(tick, BASE))
    rows = [frame for frame in range(FRAMES) if frame not in EMPTY]
    landmarks = pa.array([_landmarks(frame).reshape(-1).tolist() for frame in rows], pa.list_(pa.float32(), 136))
    pq.write_table(pa.table({"frame": rows, "landmarks": landmarks}), folder / "landmarks.parquet")
    return path


@pytest.fixture(scope="module")
def swapper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return save_swapper(
        build_swapper("lightweight", ["ann", "bob"], width=0.125), tmp_path_factory.mktemp("s") / "swapper"
    )


@pytest.fixture
def config(target: Path) -> SwapConfig:
    return SwapConfig(
        finder=f"sidecar:{target.parent / 'landmarks.parquet'}", min_face_px=16, device="cpu", output=FAST
    )


def _files(folder: Path) -> list[str]:
    hidden = {".lock"}
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name not in hidden)


def test_a_fake_is_born_labelled_masked_and_signed(target, swapper, config, tmp_path):
    record = swap_clip(
        target, swapper=swapper, source="ann", dataset=tmp_path / "set", config=config, rights="consent", name="one"
    )
    folder = DatasetFolder.open(tmp_path / "set")
    assert folder.records() == [record]
    assert folder.verify(deep=True) == []
    assert record.id == ClipId("set", "lightweight", "one")
    assert (record.label, record.kind, record.source_identity, record.target_identity) == ("fake", "swap", "ann", "bob")
    assert record.faked == ((0, 4), (6, 13))
    assert (record.frames, record.width, record.height) == (FRAMES, WIDTH, HEIGHT)
    assert record.swapper == swapper_digest(swapper)
    assert record.config == digest(config)
    assert record.rights == "consent"
    assert record.parent is None
    assert record.factors["target_sha256"] == sha256_file(target)
    assert record.sha256 == sha256_file(folder.media_path(record))


def test_times_and_sound_are_the_targets_to_the_last_bit(target, swapper, config, tmp_path):
    record = swap_clip(target, swapper=swapper, source="ann", dataset=tmp_path / "set", config=config, rights="consent")
    clip = tmp_path / "set" / record.path
    assert [t.exact_seconds for t in frame_times(clip)] == [Fraction(tick, 50) for tick in TICKS]
    assert audio_digest(clip) == audio_digest(target) is not None
    assert record.id.name == "bob_at_home+ann"


def test_the_signature_says_what_was_done_to_which_file(target, swapper, config, tmp_path):
    record = swap_clip(target, swapper=swapper, source="ann", dataset=tmp_path / "set", config=config, rights="consent")
    provenance = read_provenance(tmp_path / "set" / record.path)
    assert provenance is not None
    assert provenance.valid
    assert provenance.says_fake
    assert any(term.endswith("compositeWithTrainedAlgorithmicMedia") for term in provenance.digital_source_types)
    assert provenance.ingredients[0].sha256 == sha256_file(target)
    assert provenance.record is not None
    assert provenance.record["source_identity"] == "ann"


def test_masks_tell_where_pixels_changed_and_frames_without_a_face_are_untouched(target, swapper, config, tmp_path):
    config = dataclasses.replace(config, output=dataclasses.replace(FAST, crf=0), color=ColorConfig(method="none"))
    record = swap_clip(target, swapper=swapper, source="ann", dataset=tmp_path / "set", config=config, rights="consent")
    folder = DatasetFolder.open(tmp_path / "set")
    masks = {name: list(read_mask_frames(path)) for name, path in folder.mask_paths(record).items()}
    assert {name: len(frames) for name, frames in masks.items()} == dict.fromkeys(MASK_KINDS, FRAMES)
    fake = list(VideoReader(folder.media_path(record)))
    for frame, before in enumerate(VideoReader(target)):
        if frame in EMPTY:
            assert not any(masks[name][frame].any() for name in masks)
        else:
            assert (masks["alpha"][frame][masks["changed"][frame] > 0] > 0).all()
            nose = _landmarks(frame)[30].round().astype(int)
            assert masks["alpha"][frame][nose[1], nose[0]] > 60
        # Far from the mask nothing but the codec has touched the picture, and that at its finest.
        far = cv2.dilate(masks["alpha"][frame], np.ones((7, 7))) == 0
        assert np.abs(fake[frame].image[far].astype(int) - before.image[far]).mean() < 1.5


def test_every_frame_is_labelled_and_real_frames_inside_the_fake_are_real(target, swapper, config, tmp_path):
    record = swap_clip(target, swapper=swapper, source="ann", dataset=tmp_path / "set", config=config, rights="consent")
    labels = DatasetFolder.open(tmp_path / "set").frame_labels(record.id)
    assert [label.frame for label in labels] == list(range(FRAMES))
    assert [label.frame for label in labels if label.label == "real"] == list(EMPTY)
    assert all((label.box is None) == (label.frame in EMPTY) for label in labels)
    assert [label.seconds for label in labels] == pytest.approx([tick / 50 for tick in TICKS])
    assert labels[0].face_px == pytest.approx(labels[0].box[2] - labels[0].box[0], rel=1e-3)


def test_a_picture_to_look_at_lies_beside_the_clip(target, swapper, config, tmp_path):
    swap_clip(target, swapper=swapper, source="ann", dataset=tmp_path / "set", config=config, rights="c", name="one")
    picture = cv2.imread(str(tmp_path / "set" / "previews" / "lightweight" / "one.jpg"))
    assert picture is not None
    assert picture.shape[1] == 3 * WIDTH
    assert picture.shape[0] > 4 * HEIGHT


def test_the_same_order_gives_the_clip_that_is_there_and_another_one_is_refused(target, swapper, config, tmp_path):
    order = {"swapper": swapper, "source": "ann", "dataset": tmp_path / "set", "rights": "consent", "name": "one"}
    first = swap_clip(target, config=config, **order)
    before = (tmp_path / "set" / first.path).stat().st_mtime_ns
    assert swap_clip(target, config=config, **order) == first
    assert (tmp_path / "set" / first.path).stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="made otherwise"):
        swap_clip(target, config=dataclasses.replace(config, mask=MaskConfig(erode=0.1)), **order)
    second = swap_clip(target, config=config, **{**order, "name": "two", "source": "bob"}, target_identity="bob")
    assert DatasetFolder.open(tmp_path / "set").records() == [first, second]


def test_equal_orders_make_equal_pictures_in_different_datasets(target, swapper, config, tmp_path):
    one, two = (
        swap_clip(target, swapper=swapper, source="ann", dataset=tmp_path / name, config=config, rights="c", name="x")
        for name in ("a", "b")
    )
    assert one.content_sha256 == two.content_sha256
    assert one.masks.sha256 == two.masks.sha256


def test_a_clip_of_a_dataset_becomes_the_parent_and_says_whose_it_is(target, swapper, config, tmp_path):
    parent = swap_clip(
        target, swapper=swapper, source="ann", dataset=tmp_path / "set", config=config, rights="consent", name="one"
    )
    clip = tmp_path / "set" / parent.path
    child = swap_clip(clip, swapper=swapper, source="bob", dataset=tmp_path / "set", config=config, name="two")
    assert child.parent == parent.id
    assert (child.target_identity, child.rights) == ("bob", "consent")


def test_an_interrupted_swap_leaves_the_dataset_as_it_was(target, swapper, config, tmp_path, monkeypatch):
    order = {"swapper": swapper, "source": "ann", "dataset": tmp_path / "set", "rights": "consent"}
    swap_clip(target, config=config, name="one", **order)
    before = _files(tmp_path / "set")
    for place in ("forge.pipeline.sign_clip", "forge.pipeline.MaskWriter.write", "shared.dataset.DatasetFolder.add"):
        with monkeypatch.context() as patch:
            patch.setattr(place, _interrupt)
            with pytest.raises(KeyboardInterrupt):
                swap_clip(target, config=config, name="two", **order)
        assert _files(tmp_path / "set") == before
    assert DatasetFolder.open(tmp_path / "set").verify() == []


def _interrupt(*_args: object, **_settings: object) -> None:
    raise KeyboardInterrupt


def test_a_failed_first_swap_leaves_no_dataset(target, swapper, config, tmp_path, monkeypatch):
    monkeypatch.setattr("forge.pipeline.sign_clip", _interrupt)
    (tmp_path / "there").mkdir()
    for name in ("new", "there"):
        with pytest.raises(KeyboardInterrupt):
            swap_clip(target, swapper=swapper, source="ann", dataset=tmp_path / name, config=config, rights="consent")
    assert not (tmp_path / "new").exists()
    assert list((tmp_path / "there").iterdir()) == []


def test_a_full_disk_ends_in_one_sentence(target, swapper, config, tmp_path, monkeypatch):
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("forge.masks.VideoWriter.write", full)
    with pytest.raises(StorageError, match="the disk is full"):
        swap_clip(target, swapper=swapper, source="ann", dataset=tmp_path / "set", config=config, rights="consent")
    assert not (tmp_path / "set").exists()


def test_two_faces_one_or_all(target, swapper, config, tmp_path):
    rows = [frame for frame in range(FRAMES) for _ in range(2)]
    points = [p for frame in range(FRAMES) for p in (_landmarks(frame), MEAN_FACE * 24 + [4, 4])]
    landmarks = pa.array([np.float32(p).reshape(-1).tolist() for p in points], pa.list_(pa.float32(), 136))
    pq.write_table(pa.table({"frame": rows, "landmarks": landmarks}), tmp_path / "two.parquet")
    config = dataclasses.replace(config, finder=f"sidecar:{tmp_path / 'two.parquet'}")
    order = {"swapper": swapper, "source": "ann", "dataset": tmp_path / "set", "rights": "consent"}
    one = swap_clip(target, config=config, name="one", **order)
    all_of_them = swap_clip(target, config=dataclasses.replace(config, face="all"), name="all", **order)
    folder = DatasetFolder.open(tmp_path / "set")
    fakes = {clip: [x.label for x in folder.frame_labels(clip) if x.frame == 0] for clip in (one.id, all_of_them.id)}
    assert sorted(fakes[one.id]) == ["fake", "real"]
    assert fakes[all_of_them.id] == ["fake", "fake"]
    with pytest.raises(UsageError, match="no number 2"):
        swap_clip(target, config=dataclasses.replace(config, face="2"), name="third", **order)


def test_without_a_face_nothing_is_written(target, swapper, config, tmp_path):
    empty = pa.table({"frame": pa.array([], pa.int64()), "landmarks": pa.array([], pa.list_(pa.float32(), 136))})
    pq.write_table(empty, tmp_path / "none.parquet")
    config = dataclasses.replace(config, finder=f"sidecar:{tmp_path / 'none.parquet'}")
    with pytest.raises(NoFaceError, match="14 frames"):
        swap_clip(target, swapper=swapper, source="ann", dataset=tmp_path / "set", config=config, rights="consent")
    assert not (tmp_path / "set").exists()


def test_bad_orders_are_refused_before_anything_is_written(target, swapper, config, tmp_path):
    order = {"swapper": swapper, "source": "ann", "dataset": tmp_path / "set", "config": config}
    with pytest.raises(UsageError, match="no identity 'carl'") as caught:
        swap_clip(target, **{**order, "source": "carl"})
    assert "ann, bob" in str(caught.value.hint)
    with pytest.raises(MediaError, match="does not exist"):
        swap_clip(tmp_path / "nothing.mp4", **order)
    (tmp_path / "text.mp4").write_text("this is no video")
    with pytest.raises(MediaError):
        swap_clip(tmp_path / "text.mp4", **order)
    with pytest.raises(CheckpointError, match="no exported swapper"):
        swap_clip(target, **{**order, "swapper": tmp_path})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        swap_clip(target, **{**order, "dataset": tmp_path / "full"}, rights="consent")
    assert _files(tmp_path / "full") == ["letter.txt"]
    with pytest.raises(StorageError, match="cannot be written"):
        swap_clip(target, **{**order, "dataset": tmp_path / "text.mp4" / "set"}, rights="consent")
    assert not (tmp_path / "set").exists()


def test_an_unknown_person_is_asked_for_rather_than_guessed(target, config, tmp_path):
    torch.manual_seed(0)
    three = save_swapper(build_swapper("lightweight", ["ann", "bob", "carl"], width=0.125), tmp_path / "swapper")
    order = {"swapper": three, "source": "ann", "dataset": tmp_path / "set", "config": config, "rights": "consent"}
    with pytest.raises(UsageError, match="not known whose video"):
        swap_clip(target, **order)
    assert swap_clip(target, **order, target_identity="dora").target_identity == "dora"


def test_a_damaged_swapper_is_refused(target, swapper, config, tmp_path):
    copy = tmp_path / "swapper"
    copy.mkdir()
    for file in swapper.iterdir():
        data = file.read_bytes()
        (copy / file.name).write_bytes(data[:-100] if file.suffix == ".safetensors" else data)
    with pytest.raises(CheckpointError):
        swap_clip(target, swapper=copy, source="ann", dataset=tmp_path / "set", config=config, rights="consent")
    assert not (tmp_path / "set").exists()


def test_only_the_segments_are_swapped_and_the_rest_is_real(target, swapper, config, tmp_path):
    config = dataclasses.replace(config, segments=((2, 4), (8, 11)))
    order = {"swapper": swapper, "source": "ann", "dataset": tmp_path / "set", "rights": "consent"}
    record = swap_clip(target, config=config, **order, encoding=Encoding.lossless_rgb())
    assert record.faked == ((2, 4), (8, 11))
    folder = DatasetFolder.open(tmp_path / "set")
    labels = folder.frame_labels(record.id)
    assert [one.frame for one in labels if one.label == "fake"] == [2, 3, 8, 9, 10]
    assert record.path.endswith(".mkv")
    assert record.rendition == "ffv1-bgr0"
    for fake, real in zip(VideoReader(folder.media_path(record)), VideoReader(target), strict=True):
        assert np.array_equal(fake.image, real.image) == (fake.index not in (2, 3, 8, 9, 10))
    with pytest.raises(UsageError, match="has 14 frames"):
        swap_clip(target, config=dataclasses.replace(config, segments=((9, 20),)), **order, name="beyond")


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [("libx265", ".mp4"), ("libvpx-vp9", ".mp4"), ("libsvtav1", ".mp4"), ("mjpeg", ".mov"), ("ffv1", ".mkv")],
)
def test_every_codec_makes_a_whole_fake(target, swapper, config, tmp_path, codec, suffix):
    config = dataclasses.replace(config, output=OutputConfig(codec, preset="ultrafast"))
    record = swap_clip(target, swapper=swapper, source="ann", dataset=tmp_path / "set", config=config, rights="consent")
    folder = DatasetFolder.open(tmp_path / "set")
    assert folder.verify(deep=True) == []
    info = probe(path := folder.media_path(record))
    assert (path.suffix, audio_digest(path)) == (suffix, audio_digest(target))
    assert (info.width, info.height, info.has_audio) == (WIDTH, HEIGHT, True)


def test_a_moving_preview_and_patches_beside_the_clip(target, swapper, config, tmp_path):
    config = dataclasses.replace(config, output=dataclasses.replace(FAST, gif=True))
    order = {"swapper": swapper, "source": "ann", "dataset": tmp_path / "set", "rights": "consent", "name": "one"}
    record = swap_clip(target, config=config, **order, patches=tmp_path / "patches")
    for preview in ("one.jpg", "one.gif"):
        provenance = read_provenance(tmp_path / "set" / "previews" / "lightweight" / preview)
        assert provenance is not None
        assert provenance.valid
        assert provenance.says_fake
    with Image.open(tmp_path / "set" / "previews" / "lightweight" / "one.gif") as gif:
        assert (gif.n_frames, gif.size) == (FRAMES - len(EMPTY), (2 * WIDTH, HEIGHT + 20))
        assert b"Synthetic" in gif.info["comment"]
    listed = read_signed(tmp_path / "patches" / "patches.json")
    assert listed["clip"]["id"] == str(record.id)
    assert [row["frame"] for row in listed["patches"]] == [i for i in range(FRAMES) if i not in EMPTY]
    _need_pasted_patch(listed["patches"][0], tmp_path / "patches", target, tmp_path / "set" / record.path)
    (tmp_path / "patches" / listed["patches"][0]["file"]).write_bytes(b"another")
    with pytest.raises(ProvenanceError, match="not what was signed"):
        read_signed(tmp_path / "patches" / "patches.json")
    assert 0 < float(record.factors["flicker_ratio"]) < 99
    with pytest.raises(UsageError, match="not empty"):
        swap_clip(target, config=config, **{**order, "name": "two"}, patches=target.parent)


def _need_pasted_patch(row: dict, folder: Path, target: Path, clip: Path) -> None:
    """Compositing by hand, with the matrix and the alpha channel, gives what the clip shows."""
    with Image.open(folder / row["file"]) as picture:
        assert "Synthetic" in picture.text["Description"]
        patch = np.asarray(picture, np.float32)
    matrix = np.array(row["crop_to_frame"])
    layer = cv2.warpAffine(patch, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)
    before, shown = (next(iter(VideoReader(path))).image.astype(np.float32) for path in (target, clip))
    alpha = layer[..., 3:] / 255
    composite = before + alpha * (layer[..., :3] - before)
    inside = alpha[..., 0] > 0.2
    assert inside.sum() > 100
    assert np.abs(composite - shown)[inside].mean() < 4 < np.abs(before - shown)[inside].mean()


def test_settings_that_this_swapper_cannot_follow_are_refused(target, swapper, config, tmp_path):
    order = {"swapper": swapper, "source": "ann", "dataset": tmp_path / "set", "rights": "consent"}
    with pytest.raises(UsageError, match="cannot morph"):
        swap_clip(target, config=dataclasses.replace(config, morph=0.5), **order)
    learned = dataclasses.replace(config, mask=MaskConfig("learned-target"))
    with pytest.raises(UsageError, match=r"learned no mask|cannot draw dora"):
        swap_clip(target, config=learned, **order, target_identity="dora")
    assert not (tmp_path / "set").exists()


@pytest.mark.needs_media
def test_a_real_person_is_found_swapped_and_keeps_the_sound(media, swapper, tmp_path):
    clip = next(path for path in sorted((media / "video_grid").iterdir()) if path.suffix == ".mpg")
    config = SwapConfig(finder="dlib", device="cpu", output=FAST)
    record = swap_clip(clip, swapper=swapper, source="ann", dataset=tmp_path / "set", config=config, rights="CC-BY-4.0")
    fake = tmp_path / "set" / record.path
    assert sum(stop - start for start, stop in record.faked) >= 0.95 * record.frames
    assert [t.exact_seconds for t in frame_times(fake)] == [t.exact_seconds for t in frame_times(clip)]
    assert audio_digest(fake) == audio_digest(clip) is not None
    assert DatasetFolder.open(tmp_path / "set").verify() == []
