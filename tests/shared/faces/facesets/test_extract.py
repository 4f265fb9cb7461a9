from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from shared.errors import ConfigError, FinderError, MediaError, NoFaceError, StorageError, UsageError
from shared.faces.align import MEAN_FACE, cut, map_points, mean_in_crop
from shared.faces.boxes import box_around
from shared.faces.facesets.extract import ExtractConfig, extract
from shared.faces.facesets.reader import Faceset
from shared.faces.finders.finder import FaceFinder
from shared.types import Face, Frame
from shared.video import Encoding, VideoReader
from tests.factories import write_clip

WIDTH, HEIGHT = 240, 180
CONFIG = ExtractConfig("ann", "consent", px=64, embed_every=0)


def landmarks_at(x: float, y: float, size: float) -> np.ndarray:
    return ((MEAN_FACE - 0.5) * size + [x, y]).astype(np.float32)


class Known(FaceFinder):
    """Finds what it was told, by the number of the frame."""

    name = "known"

    def __init__(self, people: Callable[[int], list[tuple[float, float, float]]]) -> None:
        self.people = people

    def find_indexed(self, frames: Sequence[Frame]) -> list[list[Face]]:
        return [self._faces(frame.index) for frame in frames]

    def find(self, frames: Sequence[np.ndarray]) -> list[list[Face]]:
        raise AssertionError("asked without the frames' numbers")

    def refine(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[Face]:
        raise AssertionError("asked to follow")

    def describe(self) -> dict[str, str]:
        return {"name": self.name, "sha256": "2" * 64}

    def _faces(self, index: int) -> list[Face]:
        points = [landmarks_at(*person) for person in self.people(index)]
        return [Face(box_around(p), p, 0.9) for p in points]


class Embedder:
    """Two people: on the left half and on the right half of the picture. Fails at face number ``fails_at``."""

    name, dim, threshold = "halves", 2, 0.6

    def __init__(self, fails_at: int = 10**9) -> None:
        self.batches: list[int] = []
        self.fails_at = fails_at

    def chips(self, image: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
        return np.array([np.full((4, 4, 3), face.box[0] < 90, np.uint8) for face in faces])

    def embed_chips(self, chips: np.ndarray) -> np.ndarray:
        self.batches.append(len(chips))
        if sum(self.batches) > self.fails_at:
            raise FinderError("out of memory")
        return np.array([[1, 0] if chip.any() else [0, 1] for chip in chips], np.float32)

    def embed(self, image: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
        return self.embed_chips(self.chips(image, faces))

    def describe(self) -> dict[str, str]:
        return {"name": self.name}


def one_person(index: int) -> list[tuple[float, float, float]]:
    return [(90 + index, 90, 55)]


def texture(index: int, *, blurred: bool = False) -> np.ndarray:
    image = np.random.default_rng(7).integers(30, 220, (HEIGHT // 6, WIDTH // 6, 3), dtype=np.uint8)
    image = cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
    image = np.roll(image, index, axis=1)
    return cv2.GaussianBlur(image, (0, 0), 6) if blurred else image


@pytest.fixture
def film(tmp_path):
    def make(name: str = "ann.mp4", frames: int = 30, blurred: range = range(0)) -> Path:
        pictures = (texture(index, blurred=index in blurred) for index in range(frames))
        return write_clip(tmp_path / name, pictures, encoding=Encoding(crf=12, preset="ultrafast"))

    return make


def left_behind(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if not entry.name.endswith((".mp4", ".parquet")))


def test_every_face_is_written_with_what_is_known_of_it(film, tmp_path):
    clip = film()
    info = extract([clip], tmp_path / "out", CONFIG, finder=Known(one_person))
    faceset = Faceset.open(tmp_path / "out")
    assert faceset.info == info
    assert (info.faces, info.kept, info.set_aside) == (30, 30, {})
    assert (info.clips[0].name, info.clips[0].frames_read, info.clips[0].frames_without_face) == ("ann.mp4", 30, 0)
    assert info.finder == {"name": "known", "sha256": "2" * 64}
    assert faceset.table.column("frame").to_pylist() == list(range(30))
    assert faceset.table.column("seconds").to_pylist() == pytest.approx([n / 25 for n in range(30)])
    assert set(faceset.table.column("track").to_pylist()) == {0}
    assert np.abs(faceset.table.column("yaw_degrees").to_numpy()).max() < 15
    faceset.verify()
    np.testing.assert_allclose(faceset.landmarks_in_crop(), np.tile(mean_in_crop(64, "whole"), (30, 1, 1)), atol=1e-3)
    with VideoReader(clip) as reader:
        frames = list(reader)
    for row in (0, 17, 29):
        np.testing.assert_array_equal(faceset.crop(row), cut(frames[row].image, faceset.matrices()[row], 64))


def test_frames_without_a_face_are_counted(film, tmp_path):
    finder = Known(lambda index: one_person(index) if 10 <= index < 22 else [])
    info = extract([film()], tmp_path / "out", CONFIG, finder=finder)
    assert info.faces == 12
    assert (info.clips[0].frames_read, info.clips[0].frames_without_face) == (30, 18)


def test_every_nth_frame(film, tmp_path):
    config = ExtractConfig("ann", "consent", px=64, every=7, embed_every=0)
    info = extract([film()], tmp_path / "out", config, finder=Known(one_person))
    assert Faceset.open(tmp_path / "out").table.column("frame").to_pylist() == [0, 7, 14, 21, 28]
    assert info.clips[0].frames_read == 5


def test_blurred_and_small_faces_are_written_but_set_aside(film, tmp_path):
    finder = Known(lambda index: [(90 + index, 90, 55 if index < 26 else 45)])
    between = float(np.ptp(box_around(landmarks_at(90, 90, 50))[::2]))
    config = ExtractConfig("ann", "consent", px=64, min_face_px=between, embed_every=0)
    info = extract([film(blurred=range(5, 9))], tmp_path / "out", config, finder=finder)
    assert (info.faces, info.kept, info.set_aside) == (30, 22, {"blurry": 4, "small": 4})
    assert Faceset.open(tmp_path / "out").rows() == [*range(5), *range(9, 26)]


def two_people(index: int) -> list[tuple[float, float, float]]:
    return [(60, 90, 40), (170, 90, 55)]


def test_of_two_people_the_main_one_is_kept(film, tmp_path):
    info = extract([film()], tmp_path / "out", CONFIG, finder=Known(two_people))
    assert (info.faces, info.kept, info.set_aside) == (60, 30, {"other person": 30})
    faceset = Faceset.open(tmp_path / "out")
    assert {faceset.table.column("track")[row].as_py() for row in faceset.rows()} == {1}


def test_all_people_keeps_everybody(film, tmp_path):
    config = ExtractConfig("ann", "consent", px=64, all_people=True, embed_every=0)
    assert extract([film()], tmp_path / "out", config, finder=Known(two_people)).kept == 60


def test_tracks_go_on_counting_through_clips_and_identity_joins_them(film, tmp_path):
    # In the second clip the other person is larger; the embedding knows who is who.
    class Changing(Known):
        def find_indexed(self, frames: Sequence[Frame]) -> list[list[Face]]:
            return [[face for person in self._places(frame) for face in at(*person)] for frame in frames]

        @staticmethod
        def _places(frame: Frame) -> list[tuple[float, float]]:
            first = frame.image[0, 0, 0] < 128
            return [(60, 55), (170, 40)] if first else [(60, 40), (170, 55)]

    def at(x: float, size: float) -> list[Face]:
        return Known(lambda _: [(x, 90, size)])._faces(0)

    def plain(name: str, grey: int, frames: int) -> Path:
        return write_clip(tmp_path / name, [np.full((HEIGHT, WIDTH, 3), grey, np.uint8)] * frames, encoding=Encoding())

    embedder = Embedder()
    config = ExtractConfig("ann", "consent", px=64, embed_every=10, min_face_px=10)
    clips = [plain("one.mp4", 60, 25), plain("two.mp4", 200, 10)]
    finder = Changing(one_person)
    info = extract(clips, tmp_path / "out", config, finder=finder, embedder=embedder)
    faceset = Faceset.open(tmp_path / "out")
    kept = faceset.table.take(faceset.rows())
    assert sorted(set(faceset.table.column("track").to_pylist())) == [0, 1, 2, 3]
    assert set(kept.column("track").to_pylist()) == {0, 2}
    assert info.set_aside == {"other person": 35}
    assert info.embedder == "halves"
    # Faces 0, 10 and 20 of each of two tracks, then face 0 of each of two.
    assert embedder.batches == [8]
    assert sum(value is not None for value in faceset.table.column("embedding").to_pylist()) == 8


def test_embeddings_are_made_in_batches_and_end_at_their_faces(film, tmp_path):
    embedder = Embedder()
    config = ExtractConfig("ann", "consent", px=32, embed_every=1, all_people=True)
    extract([film(frames=40)], tmp_path / "out", config, finder=Known(two_people), embedder=embedder)
    assert sum(embedder.batches) == 80
    assert max(embedder.batches) == 16
    faceset = Faceset.open(tmp_path / "out")
    assert faceset.table.column("frame").to_pylist() == [n // 2 for n in range(80)]
    assert faceset.table.column("embedding").to_pylist() == [[1, 0], [0, 1]] * 40


def test_an_embedder_that_fails_ends_the_extraction(film, tmp_path):
    config = ExtractConfig("ann", "consent", px=32, embed_every=1)
    for fails_at in (0, 20):
        with pytest.raises(FinderError, match="out of memory"):
            extract([film()], tmp_path / "out", config, finder=Known(one_person), embedder=Embedder(fails_at))
        assert left_behind(tmp_path) == []


def test_no_face_at_all_writes_nothing(film, tmp_path):
    with pytest.raises(NoFaceError, match="no face in 30 frames"):
        extract([film()], tmp_path / "out", CONFIG, finder=Known(lambda index: []))
    assert left_behind(tmp_path) == []


def test_a_finder_that_fails_leaves_the_old_faceset(film, tmp_path):
    clip = film()
    extract([clip], tmp_path / "out", CONFIG, finder=Known(one_person))

    def fail(index: int) -> list[tuple[float, float, float]]:
        if index > 20:
            raise FinderError("lost the device")
        return one_person(index)

    with pytest.raises(FinderError, match="lost the device"):
        extract([clip], tmp_path / "out", CONFIG, finder=Known(fail), force=True)
    assert left_behind(tmp_path) == ["out"]
    assert len(Faceset.open(tmp_path / "out")) == 30


def test_what_is_there_stays_unless_forced(film, tmp_path):
    clip = film()
    extract([clip], tmp_path / "out", CONFIG, finder=Known(one_person))
    with pytest.raises(UsageError, match="there already"):
        extract([clip], tmp_path / "out", CONFIG, finder=Known(one_person))
    config = ExtractConfig("ann", "consent", px=32, embed_every=0)
    assert extract([clip], tmp_path / "out", config, finder=Known(one_person), force=True).px == 32


def test_the_same_clip_twice_is_read_once(film, tmp_path, capsys):
    clip = film()
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(clip.read_bytes())
    info = extract([clip, copy], tmp_path / "out", CONFIG, finder=Known(one_person))
    assert [one.name for one in info.clips] == ["ann.mp4"]
    assert "are the same file" in capsys.readouterr().err.replace("\n", " ")
    with pytest.raises(UsageError, match="no clip"):
        extract([], tmp_path / "none", CONFIG, finder=Known(one_person))


def test_what_cannot_be_read_among_others_is_named_and_the_others_are_taken(film, tmp_path):
    cut = tmp_path / "cut.jpg"
    cv2.imwrite(str(cut), texture(0))
    cut.write_bytes(cut.read_bytes()[:2000])
    (tmp_path / "none.mp4").write_bytes(b"no video")
    given = [cut, film(), tmp_path / "none.mp4", tmp_path / "missing.mp4"]
    info = extract(given, tmp_path / "out", CONFIG, finder=Known(one_person))
    assert [(one.name, one.frames_decoded, one.frames_declared) for one in info.clips] == [("ann.mp4", 30, 30)]
    assert list(info.unread) == ["none.mp4", "missing.mp4", "cut.jpg"]
    assert "truncated" in info.unread["cut.jpg"]
    assert Faceset.open(tmp_path / "out").info.unread == info.unread
    with pytest.raises(MediaError, match=r"^0 of 2; 2 could not be read: none\.mp4: .*; missing\.mp4: does not exist$"):
        extract(given[2:], tmp_path / "nothing", CONFIG, finder=Known(one_person))


def test_declared_frames_stand_beside_those_that_could_be_read(film, tmp_path, capsys):
    clip = film()
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) * 2 // 3])
    info = extract([clip], tmp_path / "out", CONFIG, finder=Known(one_person))
    (one,) = info.clips
    assert one.frames_declared == 30
    assert one.frames_decoded == one.frames_read < 30
    assert f"{one.frames_read} of 30 declared frames could be read" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize("content", [None, b"", b"not a video at all"])
def test_what_is_no_video_is_a_media_error(tmp_path, content):
    clip = tmp_path / "clip.mp4"
    if content is not None:
        clip.write_bytes(content)
    with pytest.raises(MediaError):
        extract([clip], tmp_path / "out", CONFIG, finder=Known(one_person))
    assert left_behind(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_a_storage_error(film, tmp_path):
    clip = film()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError):
        extract([clip], tmp_path / "file" / "out", CONFIG, finder=Known(one_person))


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        ({"identity": "../ann"}, "identity"),
        ({"rights": "  "}, "basis"),
        ({"px": 8}, "px"),
        ({"px": 100_000}, "px"),
        ({"every": 0}, "every"),
        ({"detect_every": 0}, "detect_every"),
        ({"max_faces": 0}, "max_faces"),
        ({"min_sharpness": 2.0}, "min_sharpness"),
        ({"framing": "huge"}, "framing"),
    ],
)
def test_bad_settings_are_refused(setting, match):
    with pytest.raises(ConfigError, match=match):
        ExtractConfig(**{"identity": "ann", "rights": "consent", **setting})


def test_memory_does_not_grow_with_the_clip(film, tmp_path):
    def peak(name: str, frames: int) -> int:
        clip = film(f"{name}.mp4", frames)
        tracemalloc.start()
        extract([clip], tmp_path / name, CONFIG, finder=Known(lambda index: [(120, 90, 55)]))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak("warm", 20)
    short, long = peak("short", 60), peak("long", 300)
    # A frame has 130 kB: ten more of them held would show.
    assert long < short + 10 * WIDTH * HEIGHT * 3


def test_two_runs_write_the_same_bytes(film, tmp_path):
    clip = film()
    for name in ("a", "b"):
        extract([clip], tmp_path / name, CONFIG, finder=Known(one_person))
    one, other = (Faceset.open(tmp_path / name) for name in ("a", "b"))
    assert one.digest() == other.digest()


@pytest.mark.needs_media
def test_a_real_clip(media, tmp_path):
    config = ExtractConfig("s1", "CC-BY-4.0", finder="dlib", px=128)
    info = extract([media / "video_grid" / "bbaf2n.mpg"], tmp_path / "out", config)
    assert info.faces == info.kept == 75
    assert info.clips[0].frames_without_face == 0
    assert info.embedder
    faceset = Faceset.open(tmp_path / "out")
    assert set(faceset.table.column("track").to_pylist()) == {0}
    # The crop is upright and in place: eyes are where the mean face has them.
    found = faceset.landmarks_in_crop()
    eyes = mean_in_crop(128, "whole")[36:48].mean(0)
    assert np.abs(found[:, 36:48].mean(1) - eyes).max() < 3
    embeddings = np.array([v for v in faceset.table.column("embedding").to_pylist() if v is not None])
    assert len(embeddings) == 2
    assert np.linalg.norm(embeddings - embeddings[0], axis=1).max() < 0.4
    back = map_points(faceset.matrices()[0], faceset.landmarks()[0].astype(float))
    np.testing.assert_allclose(back, found[0], atol=1e-3)


def test_a_folder_of_pictures_is_a_clip_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), texture(number * 9))
    cv2.imwrite(str(tmp_path / "one-more.jpg"), texture(50))
    info = extract([folder, tmp_path / "one-more.jpg"], tmp_path / "ann", CONFIG, finder=Known(one_person))
    assert [clip.name for clip in info.clips] == ["0.png", "1.png", "2.png", "one-more.jpg"]
    assert info.kept == 4
    faceset = Faceset.open(tmp_path / "ann")
    assert faceset.table.column("clip").to_pylist() == [0, 1, 2, 3]
    assert len(set(faceset.table.column("track").to_pylist())) == 4  # nobody is followed from photograph to photograph
    (folder / "notes.txt").write_text("mine")
    twice = extract([folder, folder / "0.png"], tmp_path / "twice", CONFIG, finder=Known(one_person))
    assert [clip.name for clip in twice.clips] == ["0.png", "1.png", "2.png"]
    assert "by name no picture: notes.txt" in capsys.readouterr().err.replace("\n", " ")
