"""The seal of a set of speech covers its settings, and a repeated build seals nothing that was changed."""

import pytest

from shared.dataset.seal import read_seal, write_seal
from shared.errors import ManifestError
from shared.provenance.identity import SigningIdentity
from shared.speechsets.folder import begin, finish, verify
from shared.speechsets.layout import SpeechSetInfo

INFO = SpeechSetInfo("set", "other", 1, "ab", ("ann",), ("hibari",))


@pytest.fixture
def made(tmp_path):
    begin(tmp_path / "set", INFO)
    finish(tmp_path / "set", "a card")
    return tmp_path / "set"


def test_a_repeated_build_continues_the_seal(made):
    first = read_seal(made)
    begin(made, INFO)
    again = finish(made, "another card")
    assert (again.series, again.number) == (first.series, first.number + 1)
    assert verify(made) == []


def test_a_repeated_build_does_not_seal_what_was_changed(made):
    (made / "manifest.jsonl").write_text('{"id": "set/real/ann-0001", "path": "media/real/ann-0001.flac"}\n')
    with pytest.raises(ManifestError):
        begin(made, INFO)
    (made / "manifest.jsonl").write_text("")
    with (made / "speechset.toml").open("a") as file:
        file.write("# changed\n")
    for repeat in (lambda: begin(made, INFO), lambda: finish(made, "a card")):
        with pytest.raises(ManifestError, match=r"differs from its seal in speechset\.toml"):
            repeat()


def test_a_seal_without_the_settings_is_named(made):
    (made / "dataset.sig").unlink()
    write_seal(made, "set", SigningIdentity.load_or_create(), drafts=made)
    (problem,) = verify(made)
    assert problem.startswith("speechset.toml: not covered by the seal")
    begin(made, INFO)
    finish(made, "a card")
    assert verify(made) == []


def test_further_files_are_sealed_or_refused(made, tmp_path):
    identity, drafts = SigningIdentity.load_or_create(), tmp_path / "drafts"
    drafts.mkdir()
    (tmp_path / "elsewhere").write_text("x")
    for name in ("missing.txt", "../elsewhere"):
        with pytest.raises(ManifestError):
            write_seal(made, "set", identity, drafts=drafts, also=(name,))
    before = read_seal(made)
    kept = write_seal(made, "set", identity, drafts=drafts, before=before)
    assert kept.files["speechset.toml"] == before.files["speechset.toml"]
    (drafts / "speechset.toml").write_text("x")
    newer = write_seal(made, "set", identity, drafts=drafts, before=before)
    assert newer.files["speechset.toml"] != before.files["speechset.toml"]
    (drafts / "speechset.toml").unlink()
    (made / "speechset.toml").unlink()
    with pytest.raises(ManifestError, match="missing and cannot be sealed"):
        write_seal(made, "set", identity, drafts=drafts, before=before)
