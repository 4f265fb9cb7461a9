from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from forge.models.checkpoint import swapper_digest
from forge.swapping.clip import swap_clip
from forge.swapping.config import ColorConfig, MaskConfig, OutputConfig, SwapConfig
from forge.swapping.masks import MASK_KINDS
from shared.cli import run
from shared.config import digest
from shared.dataset import DatasetFolder
from shared.errors import ProvenanceError, UsageError
from shared.faces.align import MEAN_FACE
from shared.provenance.read import read_provenance
from shared.provenance.signed_list import read_signed
from shared.storage import sha256_file
from shared.types import ClipId
from shared.video import Encoding, VideoReader, audio_digest, frame_times, probe, read_mask_frames
from tests.forge.conftest import EMPTY, FAST, FRAMES, HEIGHT, TICKS, WIDTH, landmarks_in


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


def test_a_paste_is_named_with_all_of_its_settings_and_options_override_it(target, swapper, tmp_path):
    settings = tmp_path / "swap.toml"
    settings.write_text(f'finder = "sidecar:{(target.parent / "landmarks.parquet").as_posix()}"\nmin_face_px = 16\n')
    words = ["swap", str(target), "--run", str(swapper), "--source", "ann", "--out", str(tmp_path / "set")]
    words += ["--rights", "consent", "--device", "cpu", "--config", str(settings), "--paste", "box-soft"]
    assert run(["forge", *words, "--name", "plain"]) == 0
    assert run(["forge", *words, "--name", "other", "--color", "lct", "--erode", "0.02", "--crf", "30"]) == 0
    plain, other = DatasetFolder.open(tmp_path / "set").records()
    expected = {
        "paste": "box-soft", "paste_variant": "box", "mask": "full", "mask.erode": "0.0737", "mask.keep_edge": "True",
        "color": "none", "blend.rounding": "floor", "square.px": "256", "square.out": "linear",
        "square.side": "1.3504", "square.rise": "0.0",  # all that the swapper's framing "full" holds
    }  # fmt: skip
    assert expected.items() <= plain.factors.items()
    assert (other.factors["mask.erode"], other.factors["color"], other.factors["square.px"]) == ("0.02", "lct", "256")
    assert plain.config != other.config
    assert run(["forge", *words, "--name", "plain", "--erode", "0.02"]) == 2  # made with other settings
    assert run(["forge", *words, "--name", "plain"]) == 0
    for frame in [*read_mask_frames(tmp_path / "set" / plain.masks.alpha)][1:3]:
        assert frame.max() > 200
        assert (frame > 0).mean() > 0.3


def test_times_and_sound_are_the_targets_to_the_last_bit(target, swapper, config, tmp_path):
    record = swap_clip(target, swapper=swapper, source="ann", dataset=tmp_path / "set", config=config, rights="consent")
    clip = tmp_path / "set" / record.path
    assert [t.exact_seconds for t in frame_times(clip)] == [Fraction(tick, 50) for tick in TICKS]
    assert audio_digest(clip) == audio_digest(target) is not None
    assert record.id.name == "bob-at-home+ann"


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


def test_masks_mark_changed_pixels_and_frames_without_a_face_are_unchanged(target, swapper, config, tmp_path):
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
            nose = landmarks_in(frame)[30].round().astype(int)
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
    with pytest.raises(UsageError, match="made with other settings"):
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


def test_two_faces_one_or_all(target, swapper, config, tmp_path):
    rows = [frame for frame in range(FRAMES) for _ in range(2)]
    points = [p for frame in range(FRAMES) for p in (landmarks_in(frame), MEAN_FACE * 24 + [4, 4])]
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
    with pytest.raises(UsageError, match="no number 99"):
        swap_clip(target, config=dataclasses.replace(config, face="99"), name="third", **order)


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
    assert (
        run(
            [
                "verify",
                str(tmp_path / "patches"),
                *(str(path) for path in (tmp_path / "set" / "previews").rglob("one.*")),
            ]
        )
        == 0
    )
    (tmp_path / "patches" / listed["patches"][0]["file"]).write_bytes(b"another")
    assert run(["verify", str(tmp_path / "patches")]) == 1
    with pytest.raises(ProvenanceError, match="not what was signed"):
        read_signed(tmp_path / "patches" / "patches.json")
    assert 0 < float(record.factors["flicker_ratio"]) < 99
    with pytest.raises(UsageError, match=r"holds no patches\.json"):
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
