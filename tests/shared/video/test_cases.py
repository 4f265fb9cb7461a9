"""Files from real use that go wrong (media/cases): each does what its row says."""

from __future__ import annotations

from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from shared.dataset import DatasetFolder, add_real_clip
from shared.errors import MediaError
from shared.faces.facesets.extract import ExtractConfig, extract
from shared.faces.facesets.reader import FacesetInfo
from shared.faces.finders.finder import make_finder
from shared.faces.finders.turned import turned_finder
from shared.faces.stream import FollowConfig, follow
from shared.types import ClipRecord, Face
from shared.video import Encoding, VideoReader, audio_digest, container_for, frame_times, probe, reading_notes, reencode
from shared.video.images import read_picture

pytestmark = pytest.mark.needs_media

QUICK = Encoding(preset="ultrafast")


@pytest.fixture
def cases(media: Path) -> Path:
    return media / "cases"


def first_images(path: Path, count: int = 3) -> list[np.ndarray]:
    with VideoReader(path) as reader:
        return [frame.image for frame in reader.frames(stop=count)]


def colourfulness(image: np.ndarray) -> float:
    return float(image[..., 0].mean() - image[..., 2].mean())


def packet_times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(p.dts * p.time_base) for p in container.demux(audio=0) if p.size]


def added(clip: Path, folder: Path, **settings: bool) -> tuple[ClipRecord, Path]:
    dataset = DatasetFolder.init(folder / "set", "set")
    record = add_real_clip(dataset, clip, identity="ann", rights="consent", encoding=QUICK, **settings)
    assert dataset.verify(deep=True) == []
    return record, dataset.media_path(record)


def faces_in(path: Path, count: int = 1) -> list[list[Face]]:
    finder = make_finder("dlib")
    with VideoReader(path) as reader:
        return [faces for _, faces in follow(reader.frames(stop=count), finder, FollowConfig(detect_every=1))]


def test_hdr_looks_as_in_a_player(cases):
    path = cases / "01-hdr10" / "05-hdr10-true.mp4"
    image = first_images(path, 1)[0]
    assert colourfulness(image) == pytest.approx(34, abs=1.5)
    # Its 100 nits are shown under a white of 203; the same picture in SDR differs by that factor alone.
    sdr = first_images(cases / "08-two-audio-tracks" / "09-two-audio.mov", 1)[0].astype(np.float32)
    expected = sdr * (100 / 203) ** (1 / 2.4)
    assert np.abs(image - expected).mean() < 3
    info = probe(path)
    assert (info.transfer, info.primaries, info.matrix, info.bit_depth) == ("smpte2084", "bt2020", "bt2020nc", 10)
    assert "tone mapped" in reading_notes(info)["source_transfer"]


@pytest.mark.parametrize("name", ["17-pcm.avi", "17-pcm.mkv"])
def test_sound_of_unstated_layout_goes_into_a_container_that_takes_it(cases, tmp_path, name):
    clip = cases / "03-pcm-stereo-avi" / name
    record, path = added(clip, tmp_path)
    assert (path.suffix, record.frames) == (".mov", 60)
    assert audio_digest(path) == audio_digest(clip) is not None


def test_a_sound_that_cannot_be_written_is_not_blamed_on_the_pictures(cases):
    clip = cases / "03-pcm-stereo-avi" / "17-pcm.avi"
    with pytest.raises(MediaError, match=r"the sound of .*pcm_s16le.*unsupported channel layout 2 channels"):
        container_for(clip, ".mp4", able=())


def test_joined_recordings_have_one_clock(cases, tmp_path):
    clip = cases / "04-ts-discontinuity" / "10-discont.ts"
    info = probe(clip, count=True)
    assert info.frames_counted == 72
    (restart,) = info.clock_restarts
    assert (restart.seconds, restart.before, restart.after) == pytest.approx((1.157, 2.567, 1.4), abs=1e-3)
    steps = {b.pts - a.pts for a, b in pairwise(frame_times(clip))}
    assert steps == {3000}
    out = tmp_path / "out.mp4"
    assert reencode(clip, out, QUICK) == 72
    sound = packet_times(out)
    assert len(sound) == 106
    assert all(a < b for a, b in pairwise(sound))
    assert (sound[0], round(sound[-1], 1)) == (0.0, 2.4)
    assert audio_digest(out) == audio_digest(clip)


@pytest.mark.parametrize("name", ["11-mkv-named.mp4", "11-webm-named.mp4", "11-ts-named.mp4", "11-mov-named.avi"])
def test_content_decides_what_a_file_is(cases, tmp_path, name):
    clip = cases / "05-wrong-extension" / name
    record, path = added(clip, tmp_path)
    assert record.frames == 60
    assert audio_digest(path) == audio_digest(clip) is not None


def test_the_default_sound_is_kept_and_the_rest_named(cases, tmp_path):
    clip = cases / "08-two-audio-tracks" / "09-two-audio.mov"
    record, path = added(clip, tmp_path)
    with av.open(str(clip)) as container:
        english = b"".join(bytes(p) for p in container.demux(container.streams.audio[1]) if p.size)
    with av.open(str(path)) as container:
        assert len(container.streams.audio) == 1
        assert b"".join(bytes(p) for p in container.demux(audio=0) if p.size) == english
    left = record.factors["source_streams_left_out"]
    assert "audio aac (fra, commentary)" in left
    assert "subtitle mov_text" in left
    assert "01:00:00:00" in left


def test_one_picture_stored_two_ways_is_one_picture(cases):
    square, pal = (first_images(cases / "14-anamorphic" / f"14-{name}.mp4")[-1] for name in ("square", "pal169"))
    assert square.shape == pal.shape == (300, 450, 3)
    assert np.abs(square.astype(float) - pal).mean() < 2
    boxes = [faces_in(cases / "14-anamorphic" / f"14-{name}.mp4")[0][0].landmarks for name in ("square", "pal169")]
    assert np.abs(boxes[0] - boxes[1]).mean() < 2


@pytest.mark.parametrize(
    ("name", "size"),
    [("14-sar-wide", (640, 600)), ("14-sar", (320, 300)), ("14-narrowpix", (450, 422)), ("14-pal169", (450, 300))],
)
def test_faces_are_found_in_shown_geometry(cases, name, size):
    path = cases / "14-anamorphic" / f"{name}.mp4"
    info = probe(path)
    assert (info.width, info.height) == size
    assert len(faces_in(path)[0]) == 1


def test_interlaced_pictures_are_made_whole(cases, tmp_path):
    path = cases / "20-interlaced" / "07-interlaced.mp4"
    assert (probe(path).field_order, reading_notes(probe(path))["source_scan"]) == (
        "top field first",
        "top field first, deinterlaced",
    )
    with av.open(str(path)) as container:
        stored = [frame.to_ndarray(format="gray") for frame in islice(container.decode(video=0), 30)]
    with VideoReader(path) as reader:
        shown = list(reader.decoded())
        assert reader.frames_decoded == 60
    assert [time for time, _ in shown] == frame_times(path)
    whole = [frame.to_ndarray(format="gray") for _, frame in shown[:30]]
    assert np.mean([comb(one) for one in whole]) < 0.99 * np.mean([comb(one) for one in stored])


def comb(image: np.ndarray) -> float:
    """How much lines differ from the mean of those above and below, which are of the other field."""
    lines = image.astype(float)
    return float(np.abs(2 * lines[1:-1] - lines[:-2] - lines[2:]).mean())


def test_transparency_is_said(cases, tmp_path):
    record, _ = added(cases / "21-alpha" / "08-alpha.mov", tmp_path)
    assert record.factors["source_alpha"] == "transparency dropped"


def test_a_change_of_size_is_shown_scaled_and_named(cases):
    path = cases / "25-size-change" / "16-sizechange.ts"
    info = probe(path, count=True)
    assert (info.frames_counted, info.size_changes) == (60, ((30, 240, 226),))
    with VideoReader(path) as reader:
        before, after = [frame.image.astype(float) for frame in reader.frames(start=29, stop=31)]
    assert before.shape == after.shape
    assert np.abs(before - after).mean() < 4


def test_a_lying_person_is_found_by_turning(cases):
    path = cases / "28-sideways" / "24-sideways.mp4"
    finder = make_finder("dlib")
    with VideoReader(path) as reader:
        image = next(reader.frames(stop=1)).image
        assert finder.find([image]) == [[]]
        turned = turned_finder(reader, finder)
    assert turned is not None
    face = turned.find([image])[0][0]
    eyes = face.landmarks[42:48].mean(0) - face.landmarks[36:42].mean(0)
    assert abs(eyes[1]) > 4 * abs(eyes[0])
    upright = faces_in(path.parents[1] / "08-two-audio-tracks" / "09-two-audio.mov")[0][0]
    assert face.width_px == pytest.approx(upright.width_px, rel=0.15)


def test_a_sound_that_nothing_takes_is_left_out_when_asked(cases, tmp_path):
    clip = cases / "34-wma" / "17-wma.wmv"
    with pytest.raises(MediaError, match=r"the sound of .*wmav2.* cannot be copied") as caught:
        added(clip, tmp_path / "refused")
    assert "--no-audio" in (caught.value.hint or "")
    (tmp_path / "made").mkdir()
    record, path = added(clip, tmp_path / "made", audio=False)
    assert record.factors["source_sound"] == "left out as asked: wmav2"
    assert (record.frames, probe(path).has_audio) == (60, False)


def faceset(clips: Path, folder: Path) -> FacesetInfo:
    return extract([clips], folder / "ann", ExtractConfig("ann", "consent", finder="dlib", px=64, embed_every=0))


@pytest.mark.parametrize("name", ["grid2x3.avif", "irot.avif"])
def test_tiles_of_a_picture_are_one_upright_picture(cases, name):
    folder = cases / "09-avif-grid"
    image, source = read_picture(folder / name), read_picture(folder / "grid_src.png")
    assert image.shape == source.shape == (768, 512, 3)
    assert np.abs(image.astype(float) - source).mean() < 4
    with pytest.raises(MediaError, match="is a still picture, not a video"):
        probe(folder / name)


def test_every_kind_of_picture_in_a_folder_gives_its_face(cases, tmp_path):
    info = faceset(cases / "10-heic-in-folder", tmp_path)
    assert [clip.name for clip in info.clips] == ["a.jpg", "b.avif", "c.heic", "d.jp2"]
    assert (info.faces, info.unread) == (4, {})


def test_a_cut_picture_among_others_is_named_and_the_others_give_their_faces(cases, tmp_path):
    info = faceset(cases / "11-truncated-jpg", tmp_path)
    assert (info.faces, [clip.name for clip in info.clips]) == (2, ["exif6.jpg", "ref.png"])
    assert list(info.unread) == ["trunc.jpg"]


def test_declared_frames_stand_beside_those_that_were_read(cases, tmp_path):
    clip = cases / "33-truncated-mp4" / "trunc.mp4"
    record, _ = added(clip, tmp_path)
    assert (record.frames, record.factors["source_frames"]) == (38, "38 of 60 declared")
    (source,) = faceset(clip, tmp_path).clips
    assert (source.frames_decoded, source.frames_declared) == (38, 60)


def test_a_lying_person_is_labelled(cases, tmp_path):
    clip = cases / "28-sideways" / "24-sideways.mp4"
    dataset = DatasetFolder.init(tmp_path / "set", "set")
    finder = make_finder("dlib")
    record = add_real_clip(dataset, clip, identity="ann", rights="consent", encoding=QUICK, finder=finder)
    assert record.factors["source_turned"].startswith("faces found ")
    assert sum(label.box is not None for label in dataset.frame_labels(record.id)) > 0.9 * record.frames
