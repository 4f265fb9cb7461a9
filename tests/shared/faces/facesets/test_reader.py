from __future__ import annotations

import re
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.errors import FacesetError, NoFaceError, StorageError, UsageError
from shared.faces.align import MEAN_FACE, cut, frame_to_crop, map_points, mean_in_crop
from shared.faces.facesets.layout import SCHEMA, decode_crop
from shared.faces.facesets.reader import FaceRow, Faceset, FacesetWriter, SourceClip, encode_crop, facesets_in
from shared.faces.facesets.summary import contact_sheet, save_picture, summarise
from tests.factories import face_row

PX = 32
CLIP = SourceClip("ann.mp4", "0" * 64, 10, 2)


def picture(number: int, px: int = PX) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 255, (px, px, 3), dtype=np.uint8)


def row(number: int, *, track: int = 0, kept: bool = True, yaw: float = 0.0) -> FaceRow:
    landmarks = ((MEAN_FACE - 0.5) * 50 + [100 + number, 80]).astype(np.float32)
    return face_row(
        landmarks,
        frame=3 * number,
        pts=3 * number,
        seconds=0.12 * number,
        track=track,
        box=np.array([70 + number, 50, 130 + number, 110], np.float32),
        matrix=frame_to_crop(landmarks, px=PX, framing="full"),
        confidence=1.25,
        sharpness=100.0 + number,
        yaw_degrees=yaw,
        embedding=np.arange(4, dtype=np.float32) if number == 0 else None,
        kept=kept,
    )


def writer(path: Path, *, px: int = PX, force: bool = False) -> FacesetWriter:
    facts = {"name": "test", "sha256": "1" * 64}
    return FacesetWriter(path, identity="ann", rights="consent", finder=facts, framing="full", px=px, force=force)


def write(path: Path, count: int = 5, *, force: bool = False, aside: tuple[int, ...] = ()) -> Path:
    with writer(path, force=force) as made:
        made.clips.append(CLIP)
        for number in range(count):
            made.add(row(number, kept=number not in aside), encode_crop(picture(number)))
    return path


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_was_written_is_read_back(tmp_path):
    faceset = Faceset.open(write(tmp_path / "ann", aside=(1, 3)))
    assert len(faceset) == 5
    info = faceset.info
    assert (info.identity, info.rights, info.framing, info.px) == ("ann", "consent", "full", PX)
    assert (info.faces, info.kept, info.set_aside) == (5, 3, {"set aside": 2})
    assert info.clips == (CLIP,)
    assert info.finder["name"] == "test"
    assert faceset.table.schema.equals(SCHEMA)
    assert faceset.table.column("frame").to_pylist() == [0, 3, 6, 9, 12]
    assert faceset.table.column("embedding").to_pylist() == [[0, 1, 2, 3], None, None, None, None]
    assert faceset.rows() == [0, 2, 4]
    assert faceset.rows(kept_only=False) == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(faceset.landmarks()[2], row(2).landmarks)
    np.testing.assert_array_equal(faceset.matrices()[2], row(2).matrix)
    faceset.verify()


def test_crops_are_lossless_and_in_the_order_of_the_rows(tmp_path):
    faceset = Faceset.open(write(tmp_path / "ann", aside=(1,)))
    np.testing.assert_array_equal(faceset.crop(1), picture(1))
    np.testing.assert_array_equal(faceset.crops(), np.stack([picture(n) for n in (0, 2, 3, 4)]))
    np.testing.assert_array_equal(faceset.crops(kept_only=False), np.stack([picture(n) for n in range(5)]))
    np.testing.assert_array_equal(faceset.crops(rows=[3, 0]), np.stack([picture(3), picture(0)]))
    assert faceset.crops(px=8).shape == (4, 8, 8, 3)


def test_landmarks_in_crop_lie_on_the_mean_face_at_every_size(tmp_path):
    faceset = Faceset.open(write(tmp_path / "ann"))
    for px, found in ((PX, faceset.landmarks_in_crop()), (128, faceset.landmarks_in_crop(px=128))):
        assert found.shape == (5, 68, 2)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found[3], mean_in_crop(px, "full"), atol=1e-3)


def test_landmarks_in_a_resized_crop_stay_on_their_pixels(tmp_path):
    # A dark dot on a landmark must stay under the landmark when crop and landmarks are asked for at half the size.
    landmarks = row(0).landmarks
    image = np.full((200, 250, 3), 200, np.uint8)
    x, y = landmarks[30].round().astype(int)
    image[y - 4 : y + 5, x - 4 : x + 5] = 0
    crop = cut(image, frame_to_crop(landmarks, px=PX, framing="full"), PX)
    with writer(tmp_path / "ann") as made:
        made.clips.append(CLIP)
        made.add(row(0), encode_crop(crop))
    faceset = Faceset.open(tmp_path / "ann")
    small, points = faceset.crops(px=16)[0], faceset.landmarks_in_crop(px=16)[0]
    dark = 255.0 - small[..., 0]
    dark -= dark.min()
    centre = [(dark.sum(axis) * np.arange(16)).sum() / dark.sum() for axis in (0, 1)]
    offset = map_points(row(0).matrix, np.array([[x, y]])) - map_points(row(0).matrix, landmarks[30:31])
    np.testing.assert_allclose(centre, points[30] + offset[0] / 2, atol=0.1)


def test_equal_content_has_an_equal_digest_and_a_change_shows(tmp_path):
    one, same = Faceset.open(write(tmp_path / "a")), Faceset.open(write(tmp_path / "b"))
    other = Faceset.open(write(tmp_path / "c", 4))
    assert one.digest() == same.digest() != other.digest()


def test_a_folder_of_facesets_stands_for_them(tmp_path):
    for name in ("b", "a"):
        (tmp_path / "people" / name).mkdir(parents=True)
        (tmp_path / "people" / name / "faceset.toml").touch()
    (tmp_path / "people" / "extract.json").touch()
    (tmp_path / "people" / "notes").mkdir()
    people, one = tmp_path / "people", tmp_path / "people" / "b"
    assert facesets_in([people]) == [people / "a", people / "b"]
    assert facesets_in([one, tmp_path / "none", people / "notes"]) == [one, tmp_path / "none", people / "notes"]


def test_rows_are_selected_at_the_end(tmp_path):
    with writer(tmp_path / "ann") as made:
        made.clips.append(CLIP)
        for number in range(2000):
            made.add(row(number), encode_crop(np.full((PX, PX, 3), number % 256, np.uint8)))
        made.set_aside_reasons = lambda batch: [
            "" if frame % 2 else "even" for frame in batch.column("frame").to_pylist()
        ]
    faceset = Faceset.open(tmp_path / "ann")
    assert faceset.info.set_aside == {"even": 1000}
    assert faceset.rows() == list(range(1, 2000, 2))
    assert made.info == faceset.info


def test_nothing_added_is_no_faceset(tmp_path):
    with pytest.raises(NoFaceError, match=r"no face in 10 frames of ann\.mp4"), writer(tmp_path / "ann") as made:
        made.clips.append(CLIP)
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_the_old_faceset_and_nothing_else(tmp_path):
    path = write(tmp_path / "ann", 3)

    def fail() -> None:
        with writer(path, force=True) as made:
            made.add(row(0), encode_crop(picture(0)))
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        fail()
    assert [entry.name for entry in tmp_path.iterdir()] == ["ann"]
    assert len(Faceset.open(path)) == 3


def test_what_is_there_is_replaced_only_with_force(tmp_path):
    path = write(tmp_path / "ann", 3)
    with pytest.raises(UsageError, match="there already"):
        write(path, 4)
    assert len(Faceset.open(path)) == 3
    assert len(Faceset.open(write(path, 4, force=True))) == 4


def test_what_is_no_faceset_is_never_replaced(tmp_path):
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_bytes(b"precious")
    (tmp_path / "file").write_text("also precious")
    for name in ("holiday", "file"):
        with pytest.raises(UsageError, match="not a faceset"):
            write(tmp_path / name, force=True)
    assert (tmp_path / "holiday" / "photo.jpg").read_bytes() == b"precious"


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "ann").mkdir()
    assert len(Faceset.open(write(tmp_path / "ann"))) == 5


@pytest.mark.parametrize("limit", [500, 4000])
def test_a_full_disk_is_a_storage_error_and_leaves_nothing(tmp_path, limit):
    # 500 bytes stop the first crop; 4000 let the small crops through and stop the table.
    px = 32 if limit == 500 else 16

    def fill() -> None:
        with writer(tmp_path / "ann", px=px) as made:
            made.clips.append(CLIP)
            for number in range(200):
                made.add(row(number), encode_crop(picture(number, px)))

    with files_no_larger_than(limit), pytest.raises(StorageError):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_a_writer_outside_its_block_refuses(tmp_path):
    with pytest.raises(FacesetError, match="not open"):
        writer(tmp_path / "ann").add(row(0), encode_crop(picture(0)))


@pytest.mark.parametrize("crop", [np.zeros((8, 8, 3), np.uint8), np.zeros((32, 32), np.uint8), np.zeros((32, 32, 3))])
def test_what_is_no_crop_is_not_encoded(crop):
    with pytest.raises(FacesetError):
        encode_crop(crop)


class TestDamage:
    @pytest.fixture
    def path(self, tmp_path):
        return write(tmp_path / "ann")

    @staticmethod
    def refusal(path: Path) -> str:
        """What is said of a faceset that must not pass."""
        with pytest.raises(FacesetError) as caught:
            Faceset.open(path).verify()
        return str(caught.value)

    def test_without_damage_there_is_no_refusal(self, path):
        Faceset.open(path).verify()
        with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
            self.refusal(path)

    def test_not_there(self, tmp_path):
        assert "is not a faceset" in self.refusal(tmp_path / "nobody")

    def test_settings_that_are_no_toml(self, path):
        (path / "faceset.toml").write_text("identity = ")
        assert "not TOML" in self.refusal(path)

    @pytest.mark.parametrize(
        ("old", "new", "match"),
        [
            ("px = 32", "px = 100000", "px"),
            ("version = 1", "version = 9", "version"),
            ("faces = 5", "faces = 6", "5 rows"),
            ("kept = 5", "kept = 4", "kept"),
            ('identity = "ann"', 'identity = "../ann"', "identity"),
            ('identity = "ann"', 'identity = "ann"\nextra = 1', "unknown setting"),
            ('framing = "full"', 'framing = "huge"', "framing"),
        ],
    )
    def test_settings_out_of_range(self, path, old, new, match):
        text = (path / "faceset.toml").read_text()
        assert old in text
        (path / "faceset.toml").write_text(text.replace(old, new))
        assert re.search(match, self.refusal(path))

    def test_no_table(self, path):
        (path / "faces.parquet").unlink()
        assert "cannot be read" in self.refusal(path)

    def test_a_table_that_is_none(self, path):
        (path / "faces.parquet").write_bytes(b"PAR1 not really PAR1")
        assert "cannot be read" in self.refusal(path)

    def test_other_columns(self, path):
        table = pq.read_table(path / "faces.parquet").drop_columns(["kept"])
        pq.write_table(table, path / "faces.parquet")
        assert "other columns" in self.refusal(path)

    @pytest.mark.parametrize(("column", "match"), [("landmarks", "not numbers"), ("clip", "clips that")])
    def test_values_out_of_range(self, path, column, match):
        table = pq.read_table(path / "faces.parquet")
        index = table.schema.get_field_index(column)
        bad = [[float("nan")] * 136] * 5 if column == "landmarks" else [7] * 5
        field = SCHEMA.field(column)
        pq.write_table(table.set_column(index, field, pa.array(bad, field.type)), path / "faces.parquet")
        assert re.search(match, self.refusal(path))

    def test_a_missing_crop(self, path):
        (path / "crops" / "00000003.png").unlink()
        assert re.search("00000003.png of .* cannot be read", self.refusal(path))

    def test_a_crop_that_is_no_picture(self, path):
        (path / "crops" / "00000003.png").write_bytes(b"<svg/>")
        assert "not a PNG" in self.refusal(path)

    def test_a_crop_cut_short(self, path):
        crop = path / "crops" / "00000003.png"
        crop.write_bytes(crop.read_bytes()[:60])
        assert re.search("decoded|changed", self.refusal(path))

    def test_a_crop_of_another_size_is_refused_before_it_is_unpacked(self, path):
        # The header claims 60000 x 60000 pixels: 10 GB, were it believed.
        data = bytearray((path / "crops" / "00000003.png").read_bytes())
        data[16:24] = (60000).to_bytes(4) * 2
        (path / "crops" / "00000003.png").write_bytes(data)
        assert "60000x60000" in self.refusal(path)

    def test_a_crop_as_large_as_a_film(self, path):
        with (path / "crops" / "00000003.png").open("ab") as file:
            file.truncate(1 << 30)
        assert "too large" in self.refusal(path)

    def test_a_crop_that_leads_out_of_the_folder(self, path, tmp_path):
        crop = path / "crops" / "00000003.png"
        shutil.move(crop, tmp_path / "elsewhere.png")
        crop.symlink_to(tmp_path / "elsewhere.png")
        assert "cannot be read" in self.refusal(path)

    def test_a_crop_that_was_exchanged(self, path):
        (path / "crops" / "00000003.png").write_bytes(encode_crop(picture(99)))
        assert "changed after" in self.refusal(path)

    @pytest.mark.parametrize("number", [-1, 5])
    def test_no_such_row(self, path, number):
        with pytest.raises(FacesetError, match="none is number"):
            Faceset.open(path).crop(number)


def test_decode_refuses_nothing_at_all():
    with pytest.raises(FacesetError, match="not a PNG"):
        decode_crop(b"", 32, "crop")


def test_summary_counts_and_spreads(tmp_path):
    with writer(tmp_path / "ann") as made:
        made.clips.append(CLIP)
        for number in range(21):
            kept = number < 20
            made.add(row(number, track=number // 7, yaw=float(number), kept=kept), encode_crop(picture(number)))
    summary = summarise(Faceset.open(tmp_path / "ann"))
    assert (summary.faces, summary.kept, summary.tracks, summary.clips) == (21, 20, 3, 1)
    assert (summary.frames_read, summary.frames_without_face) == (10, 2)
    yaw = summary.spreads["yaw_degrees"]
    assert (yaw.low, yaw.median, yaw.high) == pytest.approx((0.95, 9.5, 18.05))
    assert summary.spreads["width_px"].median == 60


def test_contact_sheet_shows_faces_in_order(tmp_path):
    faceset = Faceset.open(write(tmp_path / "ann", 6, aside=(5,)))
    sheet = contact_sheet(faceset, cell_px=32)
    assert sheet.shape == (64, 96, 3)
    np.testing.assert_array_equal(sheet[:32, :32], picture(0))
    np.testing.assert_array_equal(sheet[32:, :32], picture(3))
    everything = contact_sheet(faceset, cell_px=32, everything=True, landmarks=True)
    assert everything[32, 64].tolist() == [200, 40, 40]


def test_contact_sheet_needs_faces_and_sense(tmp_path):
    faceset = Faceset.open(write(tmp_path / "ann", 2, aside=(0, 1)))
    with pytest.raises(FacesetError, match="no face to show"):
        contact_sheet(faceset)
    with pytest.raises(UsageError):
        contact_sheet(faceset, count=0)


def test_pictures_are_written_by_their_name(tmp_path):
    save_picture(tmp_path / "a.png", picture(1))
    np.testing.assert_array_equal(decode_crop((tmp_path / "a.png").read_bytes(), PX, "a"), picture(1))
    save_picture(tmp_path / "a.jpg", picture(1))
    assert (tmp_path / "a.jpg").read_bytes()[:2] == b"\xff\xd8"
    with pytest.raises(UsageError, match="picture"):
        save_picture(tmp_path / "a.txt", picture(1))
