"""Faces of imported sets have labels, in every layout: they can be trained on, and have metrics at frame level."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from detect.config.scoring import FaceConfig
from detect.data.crops import CropRequest, find_faces
from shared.dataset import DatasetFolder
from shared.dataset.formats.importing import ImportConfig, import_set
from shared.dataset.formats.registry import IMPORTERS
from shared.faces.align import MEAN_FACE
from shared.faces.boxes import box_around
from shared.types import Face
from tests.factories import write_clip

SIDE = 64
REQUEST = CropRequest(64, "whole", 2, FaceConfig(min_face_px=8))


class MiddleFinder:
    """Finds one face in the middle of every picture."""

    name = "middle"

    def find(self, frames: Sequence[np.ndarray]) -> list[list[Face]]:
        points = ((MEAN_FACE - (0.5, 0.6)) * 0.5 * SIDE + SIDE / 2).astype(np.float32)
        return [[Face(box_around(points), points, 1.0)] for _ in frames]

    def refine(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[Face]:
        return self.find([image])[0][: len(boxes)]

    def describe(self) -> dict[str, str]:
        return {"name": self.name}


def shown(number: int) -> np.ndarray:
    coarse = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)


def films(root: Path, *names: str) -> None:
    for number, name in enumerate(names):
        write_clip(root / name, [shown(10 * number + frame) for frame in range(2)])


def pictures(root: Path, *names: str) -> None:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(shown(number)).save(root / name)


def texts(root: Path, **files: object) -> None:
    for name, content in files.items():
        path = root / name.replace("__", "/").replace("_csv", ".csv").replace("_json", ".json").replace("_txt", ".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))


def celeb_df(root: Path) -> None:
    films(root, "Celeb-real/id0_0000.mp4", "Celeb-synthesis/id0_id1_0000.mp4")


def csv_table(root: Path) -> None:
    films(root, "a.mp4", "b.mp4")
    texts(root, list_csv="path,label\na.mp4,real\nb.mp4,fake\n")


def deeperforensics(root: Path) -> None:
    films(root, "manipulated_videos/end_to_end/000_W101.mp4", "target_videos/000.mp4")


def deepfakebench(root: Path) -> None:
    pictures(root, "rgb/a/0.png", "rgb/b/0.png")
    listed = {
        name: {"label": word, "frames": [f"rgb/{name}/0.png"]} for name, word in (("a", "Z_Real"), ("b", "Z_Fake"))
    }
    parts = {entry["label"]: {"train": {name: entry}, "val": {}, "test": {}} for name, entry in listed.items()}
    (root / "dataset_json").mkdir()
    (root / "dataset_json/list.json").write_text(json.dumps({"Z": parts}))


def df40(root: Path) -> None:
    pictures(root, "simswap/ff/frames/000_003/0.png", "deepfacelab/real/12/0.png")


def dfdc(root: Path) -> None:
    films(root, "dfdc_train_part_0/real.mp4", "dfdc_train_part_0/fake.mp4")
    facts = {"real.mp4": {"label": "REAL", "split": "train"},
             "fake.mp4": {"label": "FAKE", "split": "train", "original": "real.mp4"}}  # fmt: skip
    (root / "dfdc_train_part_0/metadata.json").write_text(json.dumps(facts))


def dfdc_preview(root: Path) -> None:
    films(root, "method_A/12/a.mp4", "original_videos/12/b.mp4")
    facts = {"method_A/12/a.mp4": {"label": "fake", "set": "train"},
             "original_videos/12/b.mp4": {"label": "real", "set": "train"}}  # fmt: skip
    (root / "dataset.json").write_text(json.dumps(facts))


def faceforensics(root: Path) -> None:
    films(
        root, "original_sequences/youtube/c23/videos/000.mp4", "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4"
    )


def ffiw(root: Path) -> None:
    films(root, "source/train/videos/a.mp4", "target/train/a.mp4")


def folders(root: Path) -> None:
    films(root, "real/a.mp4", "fake/b.mp4")


def uadfv(root: Path) -> None:
    films(root, "real/0000.mp4", "fake/0000_fake.mp4")


def wilddeepfake(root: Path) -> None:
    for number, label in enumerate(("real", "fake")):
        place = root / f"{label}_train/{number}.tar.gz"
        place.parent.mkdir(parents=True)
        with tarfile.open(place, "w:gz") as archive:
            drawn = io.BytesIO()
            Image.fromarray(shown(number)).save(drawn, "PNG")
            member = tarfile.TarInfo(f"{number}/{label}/0/0.png")
            member.size = drawn.tell()
            drawn.seek(0)
            archive.addfile(member, drawn)


TREES: dict[str, Callable[[Path], None]] = {
    "celeb-df": celeb_df, "csv": csv_table, "deeperforensics": deeperforensics, "deepfakebench": deepfakebench,
    "df40": df40, "dfdc": dfdc, "dfdc-preview": dfdc_preview, "faceforensics": faceforensics, "ffiw": ffiw,
    "folders": folders, "uadfv": uadfv, "wilddeepfake": wilddeepfake,
}  # fmt: skip


def test_every_layout_is_tried():
    assert sorted(TREES) == sorted(IMPORTERS.names())


@pytest.mark.parametrize("layout", sorted(TREES))
def test_faces_of_an_imported_fake_are_fake(layout: str, tmp_path: Path):
    root = tmp_path / "theirs"
    root.mkdir()
    TREES[layout](root)
    import_set(layout, root, tmp_path / "ours", ImportConfig(rights="terms of use", name="them"))
    dataset = DatasetFolder.open(tmp_path / "ours")
    found = find_faces(dataset, dataset.records(), REQUEST, MiddleFinder)
    assert {clip.record.label for clip in found} == {"real", "fake"}
    for clip in found:
        assert set(clip.labels()) == {clip.record.label}
