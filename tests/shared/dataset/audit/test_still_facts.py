"""File-format shortcuts of stills: named where one class has them, silent where both leave by one chain."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from shared.dataset.audit.audit import WHOLE, _Part, _run_probes
from shared.dataset.audit.config import AuditConfig
from shared.dataset.audit.faces import looked_at
from shared.dataset.audit.facts import FileFacts, manifest_bytes
from shared.dataset.audit.findings import ProbeFinding
from shared.dataset.audit.probes import PROBES
from shared.dataset.audit.samples import REGIONS, ClipSample
from shared.dataset.audit.still_facts import estimated_quality, read_still_facts
from shared.errors import MediaError
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import sign_clip
from shared.provenance.types import CAPTURE, Action
from shared.types import ClipRecord
from shared.video.still_renditions import StillRendition
from tests.factories import clip_record

QUICK = AuditConfig(folds=3, trees=20, finder="none", workers=1, replicates=200)
PEOPLE = 16
STILL_PROBES = ("tables", "dimensions", "chroma", "amount", "metadata")

Writer = Callable[[np.ndarray, int], bytes]


def plain(picture: np.ndarray, number: int) -> bytes:
    """As a build writes both classes: qualities of one range."""
    return StillRendition("jpg", quality=80 + number % 5).encoded(picture)


def other_tables(picture: np.ndarray, number: int) -> bytes:
    return StillRendition("jpg", quality=70 + number % 5).encoded(picture)


def other_size(picture: np.ndarray, number: int) -> bytes:
    return StillRendition("jpg", quality=80 + number % 5, size=80).encoded(picture)


def other_chroma(picture: np.ndarray, number: int) -> bytes:
    return StillRendition("jpg", quality=80 + number % 5, chroma="444").encoded(picture)


def softer(picture: np.ndarray, number: int) -> bytes:
    return plain(cv2.GaussianBlur(picture, (0, 0), 2.0), number)


def from_a_camera(picture: np.ndarray, number: int) -> bytes:
    """The same encode, with EXIF of a camera."""
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    data, out = plain(picture, number), BytesIO()
    with Image.open(BytesIO(data)) as image:
        image.save(out, "JPEG", quality="keep", exif=exif)
    return out.getvalue()


def findings(folder: Path, real: Writer, fake: Writer) -> dict[str, ProbeFinding]:
    """What the probes find in 16 people's stills, written by one writer a class."""
    records: list[ClipRecord] = []
    samples: list[ClipSample] = []
    rows = {name: np.zeros((0, size), np.float32) for name, size in REGIONS.items()}
    for person in range(PEOPLE):
        rng = np.random.default_rng(person)
        for made, write in ((None, real), ("nobody", fake)):
            picture = cv2.GaussianBlur(rng.integers(0, 256, (64, 64, 3), np.uint8), (0, 0), 0.8)
            path = folder / f"{person}-{made}.jpg"
            path.write_bytes(write(picture, int(rng.integers(5))))
            records.append(clip_record(f"p{person}", made, name=path.stem, source=f"p{person ^ 1}", frames=1))
            samples.append(ClipSample(read_still_facts(path), rows, np.zeros((0, 32, 32), np.uint8)))
    found, _ = _run_probes(_Part(WHOLE, records, samples), QUICK)
    return {finding.probe: finding for finding in found}


def test_one_chain_shows_no_shortcut(tmp_path):
    found = findings(tmp_path, plain, plain)
    assert set(STILL_PROBES) < set(found)
    assert not {"rate", "size", "audio"} & set(found)
    for name in ("container", *STILL_PROBES):
        assert found[name].verdict in ("none found", "undecided"), name
        assert found[name].low is not None


@pytest.mark.parametrize(
    ("fake", "name", "telling"),
    [
        (other_tables, "tables", "estimated_quality"),
        (other_size, "dimensions", "height"),
        (other_chroma, "chroma", "subsampling"),
        (softer, "amount", "bytes_per_pixel_log"),
    ],
)
def test_what_only_fakes_have_is_named_with_its_interval(tmp_path, fake, name, telling):
    found = findings(tmp_path, plain, fake)[name]
    assert found.verdict == "shortcut"
    assert found.low is not None
    assert found.low > 0.55
    assert any(fact.startswith(telling) for fact in found.telling)
    assert found.advice


def test_metadata_of_cameras_is_named(tmp_path):
    found = findings(tmp_path, from_a_camera, plain)
    assert found["metadata"].verdict == "shortcut"
    assert found["tables"].verdict != "shortcut"


def test_clips_and_stills_are_not_compared_with_each_other():
    """Of clips most are fake, of stills few: the kind of file is no shortcut, since neither shows the class."""
    records: list[ClipRecord] = []
    samples: list[ClipSample] = []
    still = FileFacts({"format": "JPEG"}, {}, {}, {}, {"read": 0.0}, {}, {"width": 64.0})
    clip = FileFacts({"format": "mov"}, {"bit_rate_log": 1.0}, {"frames": 9.0}, {}, {"read": 0.0})
    for person in range(PEOPLE):
        for place, facts in enumerate((still, still, still, clip, clip, clip)):
            made = "nobody" if place in (0, 3, 4) else None
            records.append(clip_record(f"p{person}", made, name=f"{person}-{place}", source=f"p{person ^ 1}"))
            samples.append(ClipSample(facts, {name: np.zeros((0, 1)) for name in REGIONS}, np.zeros((0, 32, 32))))
    found, _ = _run_probes(_Part(WHOLE, records, samples), QUICK)
    by_name = {finding.probe: finding for finding in found}
    assert by_name["container"].area == 0.5
    assert by_name["rate"].num_real == PEOPLE
    assert by_name["rate"].note == ""
    assert by_name["dimensions"].num_real == 2 * PEOPLE


def test_a_still_does_not_say_which_frames_of_a_persons_clips_are_compared():
    clip = clip_record("ann", name="clip", frames=40)
    still = clip_record("ann", name="still", frames=1, path="media/real/still.jpg")
    through = clip_record(
        "ann", "nobody-self", name="self", frames=1, faked=((0, 1),), path="media/nobody-self/self.png"
    )
    assert looked_at([clip, still, through]) == {clip.id: (0, 40), still.id: (0, 1), through.id: (0, 1)}


@pytest.mark.parametrize("quality", [5, 49, 50, 75, 90, 100])
def test_the_quality_is_read_from_the_table(quality, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(StillRendition("a", quality=quality).encoded(np.zeros((16, 16, 3), np.uint8)))
    with Image.open(path) as image:
        table = np.array(image.quantization[0])
    assert estimated_quality(table) == (quality, 0.0)
    assert read_still_facts(path).tables["estimated_quality"] == quality
    assert estimated_quality(table + 3)[1] > 0


@pytest.mark.parametrize("form", ["jpg", "png"])
def test_a_signature_counts_in_no_feature_but_that_it_is_there(form, tmp_path, monkeypatch):
    picture = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    bare, signed = (tmp_path / f"{name}.{form}" for name in ("bare", "signed"))
    for path in (bare, signed):
        path.write_bytes(StillRendition("a", form).encoded(picture))
    sign_clip(
        signed,
        SigningIdentity.load_or_create(),
        title="a",
        actions=[Action("c2pa.edited", "nothing")],
        ingredient=None,
        digital_source_type=CAPTURE,
        record={"id": "a/b"},
    )
    assert manifest_bytes(signed) > 0
    first, second = read_still_facts(bare), read_still_facts(signed)
    assert (first.container["signed"], second.container["signed"]) == (0.0, 1.0)
    assert first.container["parts"] == second.container["parts"]
    assert first.amount["bytes_per_pixel_log"] == pytest.approx(second.amount["bytes_per_pixel_log"], abs=0.01)
    assert first.metadata == second.metadata
    assert "jumb" not in str(second.container)


def test_damaged_parts_end_the_list(tmp_path):
    path = tmp_path / "a.jpg"
    data = StillRendition("a").encoded(np.zeros((16, 16, 3), np.uint8))
    path.write_bytes(data[:2] + b"\xff\xe5\x00\x02" * 10_000 + data[2:])
    facts = read_still_facts(path)
    assert facts.container["parts"] == " ".join(["APP5"] * 40)
    path.write_bytes(data[:2] + b"\xff\xe5\x00\x02\x00\x00" + data[2:])
    assert read_still_facts(path).container["parts"] == "APP5"
    path.write_bytes(b"no picture")
    with pytest.raises(MediaError):
        read_still_facts(path)


def test_fill_bytes_and_further_pictures_hide_no_part(tmp_path):
    """A signature's bytes count in no feature of a telephone's picture either."""
    path, further = tmp_path / "a.jpg", Image.new("RGB", (16, 16))
    data = StillRendition("a").encoded(np.zeros((16, 16, 3), np.uint8))
    path.write_bytes(data)
    plain = read_still_facts(path)
    path.write_bytes(data[:2] + b"\xff\xff" + data[2:])
    assert read_still_facts(path).container["parts"] == plain.container["parts"]
    Image.new("RGB", (16, 16)).save(path, "MPO", save_all=True, append_images=[further])
    assert "DQT" in str(read_still_facts(path).container["parts"])


def test_the_probes_of_stills_are_those_of_their_features():
    assert {probe.name for probe in PROBES if probe.of == "stills"} == set(STILL_PROBES)
