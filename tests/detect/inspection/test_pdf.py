from __future__ import annotations

import io

import numpy as np
from pypdf import PdfReader

from detect.inspection.pdf import Block, blocks_of, known, pdf_bytes, write_pdf
from detect.inspection.report import FaceExhibit, plot_timeline, write_html
from shared.results.scores import Evidence, FrameScore
from shared.video.images import encode_png
from tests.detect.inspection.test_report import CLIP, report

PNG, HEAT = (encode_png(np.full((40, 40, 3), level, np.uint8)) for level in (90, 200))


def words_of(data: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(data)).pages).split())


def page_of(tmp_path, **changes):
    scores = [FrameScore(CLIP, i, i / 25, 0, float(i), (0, 0, 5, 5)) for i in range(8)]
    timeline = plot_timeline(scores, threshold=1.0, duration_seconds=0.8, gaps=[])
    exhibit = FaceExhibit(3, 0.12, 0, 3.0, "highest score", PNG, HEAT)
    page = write_html(tmp_path / "r.html", report(**changes), timeline=timeline, exhibits=[exhibit], threshold=1.0)
    return page, timeline


class TestBlocks:
    def test_the_pieces_of_a_page(self):
        page = """<h1>One &amp; two</h1><style>p { x }</style>
        <div class="verdict not-validated"><strong>no</strong><p>why</p></div>
        <table class="facts"><tr><th>name</th><td>a  <b>bold</b>
          value</td></tr></table><table><thead><tr><th>x</th><th>y</th></tr></thead><tr><td>1</td><td>2</td></tr></table>
        <ul><li>item</li></ul><svg aria-label="plot"><text>not this</text></svg><p class="limits">quiet</p>"""
        assert blocks_of(page) == [
            Block("h1", "One & two"),
            Block("h3", "no", verdict="not-validated"),
            Block("p", "why", verdict="not-validated"),
            Block("facts", cells=("name", "a bold value")),
            Block("head", cells=("x", "y")),
            Block("row", cells=("1", "2")),
            Block("li", "item"),
            Block("plot", "plot"),
            Block("p", "quiet", quiet=True),
        ]

    def test_other_pictures_than_embedded_png_are_left_out(self):
        assert (
            blocks_of('<img src="file:///etc/passwd"><img src="https://example.org/x.png"><img src="data:text/html;x">')
            == []
        )


class TestPdf:
    def test_it_says_what_the_page_says(self, tmp_path):
        page, timeline = page_of(tmp_path, verdict="fake", reason="The detector scores it +9.50.")
        words = words_of(pdf_bytes(blocks_of(page), title="Inspection of clip.mp4", plots=[timeline.png]))
        for text in (
            "Inspection of clip.mp4",
            "The detector scores it +9.50.",
            "1,234,567 bytes",
            "all even",
            "a" * 40,
        ):
            assert text in words
        assert "Not analysed" in words
        assert "sound" in words

    def test_pictures_and_plot_are_in_it(self, tmp_path):
        page, timeline = page_of(tmp_path)
        data = pdf_bytes(blocks_of(page), title="t", plots=[timeline.png])
        assert sum(len(sheet.images) for sheet in PdfReader(io.BytesIO(data)).pages) == 3

    def test_equal_pages_give_equal_bytes(self, tmp_path):
        page, timeline = page_of(tmp_path)
        for name in ("one.pdf", "two.pdf"):
            write_pdf(tmp_path / name, page, title="t", plots=[timeline.png])
        assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()

    def test_long_names_and_strange_signs_are_no_obstacle(self, tmp_path):
        long = Evidence("container", "f" * 500, {"key_" * 40: "v" * 300, "\N{CJK UNIFIED IDEOGRAPH-4E00}": "<b>**__"})
        page, timeline = page_of(tmp_path, name="name_" * 40 + "\u202e{nb}.mp4", evidence=(long,) * 30)
        data = pdf_bytes(blocks_of(page), title="name_" * 40, plots=[timeline.png])
        assert len(PdfReader(io.BytesIO(data)).pages) > 2
        assert "<b>**__" in words_of(data)

    def test_a_tag_longer_than_a_sheet_is_shortened(self, tmp_path):
        long = Evidence("what the file says", "tags", {"comment": "word " * 3000, "k" * 4000: "v"})
        page, timeline = page_of(tmp_path, evidence=(long,))
        assert "(whole in report.json)" in words_of(pdf_bytes(blocks_of(page), title="t", plots=[timeline.png]))

    def test_a_sign_that_the_font_lacks(self):
        assert (
            known("é \N{CJK UNIFIED IDEOGRAPH-4E00} \N{GREEK SMALL LETTER ALPHA}") == "é ? \N{GREEK SMALL LETTER ALPHA}"
        )
