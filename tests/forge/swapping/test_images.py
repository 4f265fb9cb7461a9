from __future__ import annotations

import shutil
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from forge.models import build_swapper
from forge.models.checkpoint import save_swapper
from forge.swapping.clip import swap_clip
from forge.swapping.config import SwapConfig
from forge.swapping.images import ImageFolderReader, swap_images
from shared.cli import run
from shared.config import digest
from shared.errors import MediaError, NoFaceError, UsageError
from shared.faces.align import MEAN_FACE
from shared.provenance.read import read_provenance
from shared.provenance.signed_list import read_signed
from shared.provenance.types import record_facts
from shared.storage import sha256_file
from shared.types import ClipId, ClipRecord

NAMES = ("shot 1.png", "shot 2.png", "shot 10.png", "shot 11.bmp")
WITHOUT = 2


def _landmarks(index: int) -> np.ndarray:
    return (MEAN_FACE * 44 + [28 + index, 26]).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures, the third without a face; a text file that is none of them."""
    place = tmp_path_factory.mktemp("shots") / "shots"
    place.mkdir()
    rng = np.random.default_rng(2)
    for index, name in enumerate(NAMES):
        picture = np.clip(rng.normal(90, 5, (96, 112, 3)), 0, 255).astype(np.uint8)
        cv2.fillConvexPoly(picture, cv2.convexHull(_landmarks(index).round().astype(np.int32)), (130, 150, 190))
        cv2.imwrite(str(place / name), picture)
    (place / "notes.txt").write_text("not a picture")
    rows = [index for index in range(len(NAMES)) if index != WITHOUT]
    landmarks = pa.array([_landmarks(index).reshape(-1).tolist() for index in rows], pa.list_(pa.float32(), 136))
    pq.write_table(pa.table({"frame": rows, "landmarks": landmarks}), place.parent / "landmarks.parquet")
    return place


@pytest.fixture(scope="module")
def swapper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = build_swapper("lightweight", ["ann", "bob"], width=0.125)
    return save_swapper(model, tmp_path_factory.mktemp("s") / "swapper")


def _order(folder: Path, swapper: Path, out: Path) -> dict:
    config = SwapConfig(finder=f"sidecar:{folder.parent / 'landmarks.parquet'}", min_face_px=16, device="cpu")
    return {"swapper": swapper, "source": "ann", "out": out, "config": config, "rights": "consent", "mark": False}


def test_pictures_come_in_the_order_of_their_numbers(folder):
    assert tuple(path.name for path in ImageFolderReader(folder).paths) == NAMES
    frames = list(ImageFolderReader(folder))
    assert [frame.time.seconds for frame in frames] == pytest.approx([0, 0.04, 0.08, 0.12])
    assert np.array_equal(frames[3].image, cv2.imread(str(folder / NAMES[3]))[..., ::-1])


def test_a_folder_becomes_a_folder_labelled_and_signed(folder, swapper, tmp_path):
    made = swap_images(folder, **_order(folder, swapper, tmp_path / "out"))
    assert (made.frames, made.faked) == (4, ((0, 2), (3, 4)))
    assert (made.id, made.kind, made.label) == (ClipId("frames", "lightweight", "shots+ann"), "swap", "fake")
    listed = read_signed(tmp_path / "out" / "frames.json")
    assert listed["clip"]["faked"] == "0-2,3-4"
    assert [label["label"] for label in listed["labels"]] == ["fake", "fake", "real", "fake"]
    assert len(listed["files"]) == 4 * 4
    for index, name in enumerate(NAMES):
        stem = Path(name).stem
        before = cv2.imread(str(folder / name))
        after = cv2.imread(str(tmp_path / "out" / "frames" / f"{stem}.png"))
        changed = cv2.imread(str(tmp_path / "out" / "masks" / "changed" / f"{stem}.png"), cv2.IMREAD_GRAYSCALE)
        assert np.array_equal(changed > 0, (before != after).any(axis=2))
        provenance = read_provenance(tmp_path / "out" / "frames" / f"{stem}.png")
        assert provenance is not None
        assert provenance.valid
        assert provenance.says_fake == (index != WITHOUT) == bool(changed.any())
    assert run(["verify", str(tmp_path / "out"), str(tmp_path / "out" / "frames" / f"{Path(NAMES[0]).stem}.png")]) == 0
    (tmp_path / "out" / "frames" / "planted.json").write_text("{}")
    assert run(["verify", str(tmp_path / "out")]) == 1


def test_fakes_carry_a_mark_unless_that_is_left_out_and_other_pictures_never_do(folder, swapper, tmp_path):
    made = swap_images(folder, **_order(folder, swapper, tmp_path / "out") | {"mark": True})
    assert made.factors["mark"].startswith("assay.tile.1:11")
    for index, name in enumerate(NAMES):
        path = tmp_path / "out" / "frames" / f"{Path(name).stem}.png"
        signature = read_provenance(path)
        assert signature is not None
        assert signature.record is not None
        assert signature.valid
        same = np.array_equal(cv2.imread(str(folder / name)), cv2.imread(str(path)))
        if index == WITHOUT:
            assert same
            assert (signature.bindings, signature.record["mark"]) == ((), "none")
        else:
            assert not same
            assert [binding.text for binding in signature.bindings] == [made.factors["mark"]]


def test_the_record_says_all_that_a_clips_record_says(target, swapper, config, tmp_path):
    """Of a video, once as a clip and once as pictures."""
    order = {"swapper": swapper, "source": "ann", "config": config, "rights": "consent"}
    clip = swap_clip(target, dataset=tmp_path / "set", **order)
    pictures = swap_images(target, out=tmp_path / "out", mark=False, **order)
    of_files = {"id", "path", "sha256", "content_sha256", "codec", "rendition", "masks"}
    assert pictures.factors["mark"] == "none"  # outside a dataset that is a choice, so it is said
    for field in {one.name for one in fields(ClipRecord)} - of_files - {"factors"}:
        assert getattr(pictures, field) == getattr(clip, field), field
    assert pictures.factors == clip.factors | {"mark": "none"}
    assert pictures.factors["target_sha256"] == sha256_file(target)
    assert float(pictures.factors["flicker_ratio"]) > 0
    assert pictures.factors["finder"]
    listed = read_signed(tmp_path / "out" / "frames.json")
    assert listed["factors"] == pictures.factors
    assert listed["clip"] == record_facts(pictures) | {"content_sha256": pictures.content_sha256}


def test_hashes_of_a_folder_are_of_its_pictures_before_and_after(folder, swapper, tmp_path):
    two, one = (swap_images(folder, **_order(folder, swapper, tmp_path / "one")) for _ in range(2))  # takes its place
    assert one.factors["target_sha256"] == digest({name: sha256_file(folder / name) for name in NAMES})
    made = {path.name: sha256_file(path) for path in (tmp_path / "one" / "frames").iterdir()}
    assert one.sha256 == digest(made)
    said = {name: read_provenance(tmp_path / "one" / "frames" / name).record["content_sha256"] for name in made}
    assert one.content_sha256 == digest(said)
    assert one.content_sha256 == two.content_sha256
    assert one.sha256 != two.sha256, "signatures are salted"
    assert one.parent is None


def test_pictures_of_a_clip_of_a_dataset_name_it_as_their_parent(target, swapper, config, tmp_path):
    order = {"swapper": swapper, "config": config}
    parent = swap_clip(target, source="ann", dataset=tmp_path / "set", rights="consent", **order)
    made = swap_images(tmp_path / "set" / parent.path, source="bob", out=tmp_path / "out", **order)
    assert (made.parent, made.target_identity, made.rights) == (parent.id, "bob", "consent")
    first = read_provenance(tmp_path / "out" / "frames" / "00000000.png")
    assert first is not None
    assert first.record is not None
    assert first.record["parent"] == str(parent.id)


def test_single_pictures_may_have_any_size_and_are_not_followed(folder, swapper, tmp_path):
    """The same face in pictures of two sizes; as a sequence they would be refused."""
    place = tmp_path / "shots"
    place.mkdir()
    for index, name in enumerate(NAMES[:2]):
        picture = cv2.imread(str(folder / name))
        cv2.imwrite(str(place / name), np.pad(picture, ((0, 8 * index), (0, 0), (0, 0))))
    order = _order(folder, swapper, tmp_path / "out")
    made = swap_images(place, **order)
    assert (made.frames, made.faked, made.factors["pictures"]) == (2, ((0, 2),), "single")
    assert (made.factors["frames_seen"], "flicker_ratio" in made.factors) == ("2", False)
    listed = read_signed(tmp_path / "out" / "frames.json")
    assert [label["track"] for label in listed["labels"]] == [0, 1]
    with pytest.raises(MediaError, match=r"of a video have one size|first picture"):
        swap_images(place, **order, sequence=True)


def test_a_sequence_is_followed_as_a_video_is(folder, swapper, tmp_path):
    made = swap_images(folder, **_order(folder, swapper, tmp_path / "out"), sequence=True)
    assert (made.faked, made.factors["pictures"]) == (((0, 2), (3, 4)), "sequence")
    listed = read_signed(tmp_path / "out" / "frames.json")
    assert [label["track"] for label in listed["labels"]] == [0, 0, None, 0]


def test_what_cannot_be_is_refused_and_nothing_is_left(folder, swapper, tmp_path):
    order = _order(folder, swapper, tmp_path / "out")
    with pytest.raises(MediaError, match="holds no picture"):
        swap_images(swapper, **order)
    with pytest.raises(UsageError, match="no identity 'carl'"):
        swap_images(folder, **{**order, "source": "carl"})
    with pytest.raises(UsageError, match=r"holds no frames\.json"):
        swap_images(folder, **{**order, "out": folder})
    empty = pa.table({"frame": pa.array([], pa.int64()), "landmarks": pa.array([], pa.list_(pa.float32(), 136))})
    pq.write_table(empty, tmp_path / "none.parquet")
    blind = SwapConfig(finder=f"sidecar:{tmp_path / 'none.parquet'}", device="cpu")
    with pytest.raises(NoFaceError, match="4 frames"):
        swap_images(folder, **{**order, "config": blind})
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for side in (40, 50):
        cv2.imwrite(str(mixed / f"{side}.png"), np.zeros((side, side, 3), np.uint8))
    with pytest.raises(MediaError, match="50x50, the first picture 40x40"):
        swap_images(mixed, **order, sequence=True)
    with pytest.raises(UsageError, match="no folder of pictures"):
        swap_images(swapper / "model.safetensors", **order, sequence=True)
    for picture in mixed.iterdir():
        picture.write_text("no picture")
    with pytest.raises(MediaError, match=r"^0 of 2; 2 could not be read: 40\.png: no picture"):
        swap_images(mixed, **order)
    assert not (tmp_path / "out").exists()


def test_a_picture_that_cannot_be_read_is_named_and_the_others_are_swapped(folder, swapper, tmp_path, capsys):
    mine = tmp_path / "mine"
    shutil.copytree(folder, mine)
    (mine / "cut.png").write_bytes((folder / NAMES[0]).read_bytes()[:300])
    record = swap_images(mine, **_order(folder, swapper, tmp_path / "out"))
    assert record.frames == 4
    assert record.factors["source_frames"].startswith("4 of 5; 1 could not be read: cut.png: ")
    assert "4 of 5; 1 could not be read" in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "out" / "frames" / "cut.png").exists()
    assert len(list((tmp_path / "out" / "frames").iterdir())) == 4
