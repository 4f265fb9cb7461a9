"""Sound is copied bit for bit and interleaved with the pictures, or refused with a hint."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import av
import pytest

from shared.errors import MediaError
from shared.video import Encoding, audio_digest, container_for, frame_times, probe

QUICK = Encoding(preset="ultrafast")


def packets(path):
    """(seconds, bytes) of every audio packet."""
    with av.open(str(path)) as container:
        return [
            (packet.pts * packet.time_base, bytes(packet))
            for packet in container.demux(container.streams.audio[0])
            if packet.size
        ]


@pytest.mark.parametrize(
    ("name", "codec", "target"),
    [
        ("sound.m4a", "aac", "clip.mp4"),
        ("sound.m4a", "aac", "clip.mov"),
        ("sound.m4a", "aac", "clip.mkv"),
        ("sound.mp3", "libmp3lame", "clip.mp4"),
        ("sound.wav", "pcm_s16le", "clip.mov"),
        ("sound.flac", "flac", "clip.mp4"),
        ("sound.mkv", "libopus", "clip.mp4"),
    ],
)
def test_sound_is_bit_identical(make_clip, make_sound, name, codec, target):
    sound = make_sound(name, codec, rate=48_000)
    clip = make_clip(target, audio_from=sound, encoding=QUICK)
    digest = audio_digest(sound)
    assert digest is not None
    assert audio_digest(clip) == digest
    assert b"".join(data for _, data in packets(clip)) == b"".join(data for _, data in packets(sound))
    assert probe(clip).has_audio


@pytest.mark.parametrize("delay", [0, 926, 22_050])
def test_sound_keeps_its_times_and_moves_no_picture(make_clip, make_sound, delay):
    # AAC starts with samples before time zero: those must not push the pictures back.
    sound = make_sound(delay=delay)
    assert packets(sound)[0][0] == Fraction(delay - 1_024, 44_100)
    clip = make_clip(ticks=[2, 3, 5], time_base=Fraction(1, 24), audio_from=sound)
    assert [time for time, _ in packets(clip)] == [time for time, _ in packets(sound)]
    assert [time.exact_seconds * 24 for time in frame_times(clip)] == [2, 3, 5]


def test_sound_and_pictures_lie_side_by_side(make_clip, make_sound):
    clip = make_clip(ticks=range(25), audio_from=make_sound())
    with av.open(str(clip)) as container:
        order = [(p.stream.type, p.pos) for p in container.demux() if p.size]
    kinds = [kind for kind, _ in sorted(order, key=lambda item: item[1])]
    changes = sum(one != other for one, other in pairwise(kinds))
    assert changes >= 4


def test_other_sound_has_another_digest(make_sound):
    assert audio_digest(make_sound("a.m4a", rate=44_100)) != audio_digest(make_sound("b.m4a", rate=48_000))


def test_a_clip_without_sound_has_no_digest_and_can_be_the_source(make_clip):
    silent = make_clip("silent.mp4")
    assert audio_digest(silent) is None
    assert audio_digest(make_clip("copy.mp4", audio_from=silent)) is None


def test_transport_framing_is_not_part_of_the_sound(make_clip, make_sound):
    # In a transport stream each AAC packet carries an ADTS header, which an mp4 keeps once, in its index.
    stream = make_sound("sound.ts", "aac")
    clip = make_clip(audio_from=stream)
    assert audio_digest(clip) == audio_digest(stream)


def test_sound_that_does_not_fit_is_refused_with_a_way_out(make_clip, make_sound, tmp_path):
    sound = make_sound("sound.wav", "pcm_u8")
    suffix = container_for(sound)
    assert suffix != ".mp4"
    with pytest.raises(MediaError, match=r"the sound of .*pcm_u8.* cannot be written to a \.mp4 file") as caught:
        make_clip("clip.mp4", audio_from=sound)
    assert ".mkv" in (caught.value.hint or "")
    assert not (tmp_path / "clip.mp4").exists()
    assert audio_digest(make_clip(f"clip{suffix}", audio_from=sound)) == audio_digest(sound)


def test_a_container_that_fits_is_kept(make_sound, make_clip):
    assert container_for(make_sound()) == ".mp4"
    assert container_for(make_sound(), ".mov") == ".mov"
    assert container_for(make_clip()) == ".mp4"


def test_a_broken_source_of_sound_is_refused(make_clip, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no sound in here")
    with pytest.raises(MediaError, match="not a video that can be read"):
        make_clip("clip.mp4", audio_from=broken)
    with pytest.raises(MediaError):
        audio_digest(broken)
    assert not (tmp_path / "clip.mp4").exists()
