from __future__ import annotations

import pytest

from detect.data.scored import only_scored
from detect.metrics.compare import ClipLogit
from shared.errors import UsageError

CLIPS = [
    ClipLogit("s/real/a", "real", 0.0, kind="real", target="ann", rendition="c23", factors={"light": "dim"}),
    ClipLogit("s/real/b", "real", 0.0, kind="real", target="bob", rendition="c40"),
    ClipLogit("s/dfl/a", "fake", 0.0, kind="swap", target="ann", source="cid", rendition="c23", architecture="df"),
    ClipLogit("s/roop/b", "fake", 0.0, kind="swap", target="bob", source="cid", rendition="c40"),
]
OLD = [ClipLogit(clip.clip, clip.label, clip.logit, rendition=clip.rendition) for clip in CLIPS]


def names(clips: list[ClipLogit]) -> list[str]:
    return [clip.clip for clip in clips]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("manipulation=dfl", ["s/real/a", "s/real/b", "s/dfl/a"]),
        ("rendition=c40", ["s/real/b", "s/roop/b"]),
        ("identity=ann", ["s/real/a", "s/dfl/a"]),
        ("group=ann", ["s/real/a", "s/real/b", "s/dfl/a", "s/roop/b"]),  # linked through cid
        ("architecture=df", ["s/real/a", "s/real/b", "s/dfl/a"]),
        ("light=dim", ["s/real/a"]),
    ],
)
def test_clips_are_chosen_as_an_evaluation_chooses_records(text: str, kept: list[str]):
    assert names(only_scored(CLIPS, [text])) == kept


def test_nothing_asked_keeps_all():
    assert only_scored(CLIPS, []) == CLIPS


def test_an_older_evaluation_knows_manipulation_and_rendition():
    assert names(only_scored(OLD, ["manipulation=roop", "rendition=c40"])) == ["s/real/b", "s/roop/b"]
    with pytest.raises(UsageError, match="older version"):
        only_scored(OLD, ["identity=ann"])


@pytest.mark.parametrize("text", ["manipulation=none", "mood=good", "plain"])
def test_what_matches_nothing_is_refused(text: str):
    with pytest.raises(UsageError):
        only_scored(CLIPS, [text])


def test_an_id_that_is_none_is_refused():
    with pytest.raises(UsageError, match="not described as a clip"):
        only_scored([ClipLogit("nonsense", "real", 0.0, kind="real")], ["rendition=c23"])
