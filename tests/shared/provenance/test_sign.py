"""Signed clips: what was signed is read back, what was changed is noticed, what was never signed is not accused."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import c2pa
import numpy as np
import pytest

from shared.errors import ProvenanceError
from shared.provenance.identity import SigningIdentity
from shared.provenance.read import read_provenance, sidecar_of
from shared.provenance.sign import sign_clip
from shared.provenance.types import CAPTURE, COMPOSITE_WITH_MODEL, MADE_BY_MODEL, PROCEDURAL, Action, source_type_of
from shared.storage import sha256_file
from shared.video import VideoReader
from tests.factories import clip_record

FACTS = {"id": "set/iae/b+a", "label": "fake", "seed": 7, "parent": None}


@pytest.fixture
def identity() -> SigningIdentity:
    return SigningIdentity.load_or_create()


@pytest.fixture
def signed(make_clip: Callable[..., Path], identity: SigningIdentity) -> Callable[..., Path]:
    """Makes a signed fake in the container that its name asks for."""

    def make(name: str = "fake.mp4", ingredient: Path | None = None) -> Path:
        path = make_clip(name)
        _sign(path, identity, ingredient)
        return path

    return make


def _sign(path: Path, identity: SigningIdentity, ingredient: Path | None = None) -> str:
    return sign_clip(
        path,
        identity,
        title="b with the face of a",
        actions=[Action("c2pa.edited", "face swapped", parameters={"manipulation": "iae"})],
        ingredient=ingredient,
        digital_source_type=COMPOSITE_WITH_MODEL,
        record=FACTS,
    )


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["fake.mp4", "fake.mov", "fake.avi", "fake.mkv", "fake.webm"])
def test_what_was_signed_is_read_back(make_clip: Callable[..., Path], identity: SigningIdentity, name: str):
    from shared.video import Encoding

    parent = make_clip("parent.mp4", ticks=range(4))
    encoding = Encoding(codec="libvpx-vp9") if name.endswith("webm") else Encoding(preset="ultrafast")
    path = make_clip(name, ticks=range(6), encoding=encoding)
    before, pictures = sha256_file(path), [frame.image for frame in VideoReader(path)]
    assert _sign(path, identity, parent) == before

    found = read_provenance(path)
    assert found is not None
    assert found.valid
    assert found.problems == ()
    assert found.says_fake
    assert found.signer is not None
    assert (found.signer.name, found.signer.trusted, found.signer.algorithm) == (identity.name, True, "es256")
    assert [action.name for action in found.actions] == ["c2pa.opened", "c2pa.edited"]
    assert found.actions[1].parameters == {"manipulation": "iae"}
    assert [(entry.title, entry.sha256) for entry in found.ingredients] == [("parent.mp4", sha256_file(parent))]
    signed = {"content_sha256": before, "ingredient_sha256": sha256_file(parent), "mark": "none"}
    assert found.record == FACTS | signed
    assert found.embedded == (name[-3:] in ("mp4", "mov", "avi"))
    assert (sidecar_of(path) is None) == found.embedded
    assert all(np.array_equal(one, two.image) for one, two in zip(pictures, VideoReader(path), strict=True))
    assert not list(path.parent.glob(".*part*"))


def test_without_an_ingredient_the_clip_was_created(signed: Callable[..., Path]):
    found = read_provenance(signed())
    assert found is not None
    assert [action.name for action in found.actions] == ["c2pa.created", "c2pa.edited"]
    assert found.actions[0].digital_source_type == COMPOSITE_WITH_MODEL
    assert found.ingredients == ()


def test_the_chain_goes_back_through_signed_parents(signed: Callable[..., Path]):
    parent = signed("parent.mp4")
    path = signed("child.mp4", parent)
    found = read_provenance(path)
    assert found is not None
    assert found.valid
    assert found.problems == ()


@pytest.mark.parametrize("name", ["fake.mp4", "fake.avi", "fake.mkv"])
def test_every_changed_picture_byte_is_noticed(signed: Callable[..., Path], name: str, rng: np.random.Generator):
    path = signed(name)
    whole = path.read_bytes()
    start = whole.index({"mp4": b"mdat", "avi": b"movi", "mkv": b"\xa3"}[name[-3:]]) + 16
    length = 200  # the smallest payload of the three
    for at in rng.integers(start, start + length, 5):
        path.write_bytes(whole)
        _flip(path, int(at))
        found = read_provenance(path)
        assert found is not None
        assert not found.valid
        assert "the media was changed after it was signed" in found.problems


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        (b"face swapped", "a statement in the manifest was changed"),
        (b"set/iae/b+a", "a statement in the manifest was changed"),
        (b"b with the face", "the signature does not fit the claim"),
    ],
)
def test_an_edited_manifest_is_noticed(signed: Callable[..., Path], mark: bytes, reason: str):
    path = signed()
    _flip(path, path.read_bytes().rindex(mark) + 4)
    found = read_provenance(path)
    assert found is not None
    assert not found.valid
    assert any(reason in problem for problem in found.problems), found.problems


def test_a_manifest_that_cannot_be_parsed_is_not_taken_for_none(signed: Callable[..., Path]):
    path = signed()
    data = path.read_bytes()
    for at in (data.index(b"jumb"), data.index(b"uuid") + 5):
        path.write_bytes(data)
        _flip(path, at)
        found = read_provenance(path)
        assert found is not None
        assert not found.valid
        assert "cannot be read" in found.problems[0]
    path.write_bytes(data[: len(data) - 100])
    found = read_provenance(path)
    assert found is not None
    assert not found.valid


def test_a_manifest_that_is_nested_too_deeply_is_damaged(signed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch):
    path = signed()
    monkeypatch.setattr(c2pa.Reader, "json", lambda _: "[" * 100_000)
    found = read_provenance(path)
    assert found is not None
    assert not found.valid
    assert "64 levels" in found.problems[0]


def test_absent_is_not_fake(make_clip: Callable[..., Path], tmp_path: Path):
    assert read_provenance(make_clip("plain.mp4")) is None
    assert read_provenance(make_clip("plain.mkv")) is None
    for name, content in (("text.mp4", b"c2pa is a standard"), ("empty.mp4", b""), ("text.txt", b"hello")):
        (tmp_path / name).write_bytes(content)
        assert read_provenance(tmp_path / name) is None
    with pytest.raises(ProvenanceError, match="cannot be read"):
        read_provenance(tmp_path / "absent.mp4")


def test_a_signature_of_a_stranger_is_valid_and_not_trusted(make_clip: Callable[..., Path], tmp_path: Path):
    stranger = SigningIdentity.load_or_create(tmp_path / "stranger")
    path = make_clip()
    _sign(path, stranger)
    found = read_provenance(path)
    assert found is not None
    assert found.valid
    assert found.problems == ()
    assert found.signer is not None
    assert not found.signer.trusted
    known = read_provenance(path, anchors=stranger.root)
    assert known is not None
    assert known.signer is not None
    assert known.signer.trusted


def test_a_sidecar_of_another_clip_does_not_fit(signed: Callable[..., Path], make_clip: Callable[..., Path]):
    one, other = signed("one.mkv"), make_clip("other.mkv", ticks=range(7))
    shutil.copy(one.with_suffix(".c2pa"), other.with_suffix(".c2pa"))
    found = read_provenance(other)
    assert found is not None
    assert not found.valid
    one.with_suffix(".c2pa").write_bytes(b"not a manifest")
    broken = read_provenance(one)
    assert broken is not None
    assert not broken.valid


def test_a_file_put_beside_a_signed_mp4_does_not_speak_for_it(signed: Callable[..., Path]):
    path = signed()
    path.with_suffix(".c2pa").write_bytes(b"not a manifest")
    found = read_provenance(path)
    assert found is not None
    assert found.valid
    assert found.embedded


def test_what_cannot_be_signed_stays_as_it_was(tmp_path: Path, identity: SigningIdentity):
    path = tmp_path / "text.mp4"
    path.write_bytes(b"this is no video")
    with pytest.raises(ProvenanceError, match="cannot be signed"):
        _sign(path, identity)
    assert path.read_bytes() == b"this is no video"
    assert [entry.name for entry in tmp_path.iterdir()] == ["text.mp4"]


def test_a_certificate_outside_the_profile_is_refused(make_clip: Callable[..., Path], identity: SigningIdentity):
    path = make_clip()
    before = path.read_bytes()
    root_only = dataclasses.replace(identity, certificates=identity.root)
    with pytest.raises(ProvenanceError):
        _sign(path, root_only)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("kind", "rights", "source_type"),
    [
        ("real", "consent", CAPTURE),
        ("real", "synthetic", PROCEDURAL),
        ("swap", "consent", COMPOSITE_WITH_MODEL),
        ("reenact", "consent", COMPOSITE_WITH_MODEL),
        ("generate", "synthetic", MADE_BY_MODEL),
        ("speech", "consent", MADE_BY_MODEL),
    ],
)
def test_the_source_type_says_what_is_true(kind: str, rights: str, source_type: str):
    fake = kind != "real"
    record = clip_record("b", "x" if fake else None, source="a", kind=kind, rights=rights)
    assert source_type_of(record) == source_type
