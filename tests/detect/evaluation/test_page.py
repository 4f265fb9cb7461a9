from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup

from detect.config.scoring import EvaluateConfig
from detect.evaluation.evaluate import evaluate_clips
from detect.evaluation.localization import Localisation
from detect.evaluation.localization_report import RegionReport
from detect.evaluation.page import render_page, summary
from detect.evaluation.plots import plot_error_card, plot_parts, plot_region_parts
from detect.evaluation.result import EvaluationResult
from detect.models.training_record import TrainingRecord, training_document
from detect.scoring.samples import ScoredClip
from shared.results.scores import Evaluation
from shared.types import ClipId
from tests.factories import scored_as
from tests.page_width import too_wide

CURVES = Markup("<svg></svg>")
HOSTILE = '<script>alert("$x^{")</script>'


@pytest.fixture(scope="module")
def clips() -> list[ScoredClip]:
    found = []
    for number in range(6):
        person, shift = f"p{number}", number / 4
        for rendition in ("c23", "c40"):
            found.append(scored_as(person, shift - 1, rendition=rendition))
            paste = HOSTILE if number % 2 else "alpha"
            found.append(scored_as(person, 2 - shift, "dfl", rendition=rendition, paste=paste))
            found.append(scored_as(person, 0.2, "fomm", rendition=rendition, paste=paste))
    return [*found, scored_as("p0", None, "dfl", rendition="c99")]


def evaluated(clips: list[ScoredClip], **more: object) -> EvaluationResult:
    return evaluate_clips(
        clips,
        EvaluateConfig(replicates=30),
        dataset={"name": "set", "manifest_sha256": "0" * 64},
        detector={"name": "net", "reference": HOSTILE},
        operating_point=(0.5, "the val split"),
        notes=(f"noted {HOSTILE}",),
        **more,  # type: ignore[arg-type]
    )


def report() -> RegionReport:
    def value(metric: str, found: float) -> Evaluation:
        return Evaluation(metric, found, "frame", 0, 12, found - 0.1, found + 0.1, 4)

    real = Evaluation("drawn_on_real", 0.03, "frame", 9, 0)
    parts = [Localisation(name, value("mask_iou", iou), value("mask_ap", 0.8), real if name is None else None, 6)
             for name, iou in ((None, 0.625), ("dfl", 0.75))]  # fmt: skip
    return RegionReport(0.4, "60 validation clips of set", 12, tuple(parts))


class _Pictures(HTMLParser):
    """Collects what a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_holds_all_parts_and_nothing_foreign(clips: list[ScoredClip]):
    train = [dataclasses.replace(c.record, sha256="1" * 64, target_identity="z", source_identity=None, kind="real",
                                 label="real", id=ClipId("set", None, "z")) for c in clips[:1]]  # fmt: skip
    learned = TrainingRecord(**{k: frozenset(v) for k, v in training_document(train).items()})
    result = evaluated(clips, learned=learned, regions=report())
    page = render_page(result, clips, CURVES, has_sheet=True)
    parser = _Pictures()
    parser.feed(page)
    assert "script" not in parser.tags
    assert parser.tags.count("svg") == 6
    assert all(source.startswith("#") for source in parser.sources)
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;") >= 3  # the note, the detector and the factor, as text
    for title in ("What was asked", "By manipulation", "By rendition", "By what is new", "Error card", "Where the"):
        assert title in page
    for number in ("0.625 [0.525, 0.725]", "Clip AUC", "leave-manipulation-out", "chosen on the val split"):
        assert number in page
    assert "1 clip has no usable face" in page


@pytest.mark.slow
def test_nothing_is_wider_than_a_phone(clips: list[ScoredClip], tmp_path: Path):
    result = evaluated(clips, regions=report())
    assert too_wide(render_page(result, clips, plot_error_card(result.error_card), has_sheet=True), tmp_path) == ""


def test_parts_that_are_not_there_are_left_out(clips: list[ScoredClip]):
    page = render_page(evaluated(clips), clips, CURVES)
    assert "By what is new" not in page
    assert "Where the forgery" not in page
    fakes = [c for c in clips if c.record.label == "fake"]
    one_class = render_page(evaluated(fakes), fakes, CURVES)
    assert "Only one class could be scored" in one_class
    assert "nan" not in one_class
    empty = render_page(evaluated([]), [], CURVES)
    assert "Error card" not in empty


@pytest.mark.usefixtures("real_plots")
def test_equal_results_give_equal_pages(clips: list[ScoredClip]):
    assert render_page(evaluated(clips), clips, CURVES) == render_page(evaluated(clips), clips, CURVES)


def test_the_outcome_is_given_in_sentences(clips: list[ScoredClip]):
    told = summary(evaluated(clips))
    logits = {True: [2 - n / 4 for n in range(6)] + [0.2] * 6, False: [n / 4 - 1 for n in range(6)]}
    area = np.mean([(f > r) + 0.5 * (f == r) for f in logits[True] for r in logits[False]])
    assert told[0].startswith(f"Clip AUC {area:.3f} [")
    assert told[0].endswith("on 12 real and 24 fake clips.")
    assert "misses 50.0%" in told[1]  # all of fomm at 0.2, none of dfl at 0.75 and more, with a threshold of 0.5


def test_pictures_grow_with_their_rows_and_survive_odd_names(clips: list[ScoredClip]):
    result = evaluated(clips)
    made = [part for part in result.slices if part.by == "manipulation"]
    for picture in (
        plot_parts(made, clips=clips),
        plot_parts([]),
        plot_error_card(result.error_card),
        plot_error_card(()),
        plot_region_parts(report().parts),
    ):
        assert picture.startswith("<svg")
        assert "script" not in picture
    odd = dataclasses.replace(result.error_card[0], factor=HOSTILE, value="$\\frac{" * 30)
    assert _height(plot_error_card([odd] * 50)) > _height(plot_error_card([odd] * 5))


def _height(picture: str) -> float:
    found = re.search(r'viewBox="0 0 [0-9.]+ ([0-9.]+)"', picture)
    assert found is not None
    return float(found[1])
