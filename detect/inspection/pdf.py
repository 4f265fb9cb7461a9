"""The report's page as a PDF, for files and printers.

The PDF is laid out from the page itself, so both say the same in the same order: headings, paragraphs, tables, lists
and pictures; plots of the page, which are SVG, are given as PNG. Equal pages give equal bytes: the PDF holds no time of
day. Text is in the font that comes with matplotlib, and a sign that it lacks is shown as a question mark.
"""

from __future__ import annotations

import base64
import io
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Literal

from fpdf import FPDF
from fpdf.enums import TableBordersLayout
from fpdf.fonts import FontFace
from typing_extensions import override

from shared.storage import write_bytes

Kind = Literal["h1", "h2", "h3", "p", "li", "row", "head", "facts", "picture", "plot"]

_NO_DATE = datetime(2000, 1, 1, tzinfo=UTC)
"""In the place of the time of making, which would make every PDF differ."""
_FONT = "DejaVu"
_FILES = {"": "DejaVuSans.ttf", "B": "DejaVuSans-Bold.ttf"}
_SIZES: Mapping[str, float] = {"h1": 15, "h2": 11.5, "h3": 9.5, "p": 8.5, "li": 8.5}
_TABLE_SIZE = 7.5
_MARGIN = 16.0
_INK, _SOFT, _LINE, _WASH = (29, 39, 51), (91, 103, 117), (223, 228, 233), (245, 247, 249)
_BARS = {"fake": (163, 35, 31), "real": (35, 102, 60), "inconclusive": (122, 90, 0)}
_WIDEST, _TALLEST = 178.0, 95.0
_FACE_WIDTH = 42.0
_SQUARE = 1.25
"""Ratio of the sides up to which pictures stand side by side: crops of faces."""
_SKIPPED = frozenset({"style", "title", "script"})
_TEXTS = frozenset({"h1", "h2", "h3", "p", "li", "th", "td", "figcaption", "strong"})
_SPLITS = frozenset({"br", "ul", "div"})


@dataclass(frozen=True)
class Block:
    """One piece of the page.

    Attributes:
        kind: what it is; "facts" is a row of a name and its value, "head" and "row" are rows of other tables.
        text: of headings, paragraphs and items; the description of a picture.
        cells: of a row.
        png: of a picture.
        quiet: whether the text explains rather than states.
        verdict: the verdict whose box the block is in; empty outside.
    """

    kind: Kind
    text: str = ""
    cells: tuple[str, ...] = ()
    png: bytes = b""
    quiet: bool = False
    verdict: str = ""


def write_pdf(path: Path, page: str, *, title: str, plots: Sequence[bytes] = ()) -> None:
    """Writes ``page``, HTML made by :func:`detect.inspection.report.write_html`, as a PDF.

    Args:
        path: the file.
        page: the page; its pictures are embedded PNG.
        title: repeated at the foot of each sheet.
        plots: PNG of the page's SVG plots, in order.

    Raises:
        StorageError: writing failed.
    """
    write_bytes(path, pdf_bytes(blocks_of(page), title=title, plots=plots))


def blocks_of(page: str) -> list[Block]:
    """The pieces of a report's page, in order; unknown elements count as their text."""
    reader = _PageReader()
    reader.feed(page)
    reader.close()
    return reader.blocks


def pdf_bytes(blocks: Sequence[Block], *, title: str, plots: Sequence[bytes] = ()) -> bytes:
    """``blocks`` laid out on A4 sheets."""
    pdf = _Sheets(title)
    left = list(plots)
    place = 0
    while place < len(blocks):
        block = blocks[place]
        alike = place + 1
        if block.kind in ("head", "row", "facts", "picture"):
            kinds = ("head", "row") if block.kind in ("head", "row") else (block.kind,)
            while alike < len(blocks) and blocks[alike].kind in kinds and (blocks[alike].kind != "head"):
                alike += 1
        if block.kind == "plot":
            if left:
                pdf.picture(left.pop(0), block.text)
        else:
            _LAYOUT[block.kind](pdf, blocks[place:alike])
        place = alike
    return bytes(pdf.output())


class _Sheets(FPDF):
    """A4 sheets with the title and the page number at their foot."""

    def __init__(self, title: str) -> None:
        super().__init__(format="A4")
        self.foot = title
        self.set_creation_date(_NO_DATE)
        for style, name in _FILES.items():
            self.add_font(_FONT, style, _font_folder() / name)
        self.set_lang("en")
        self.set_title(title)
        self.set_margin(_MARGIN)
        self.set_auto_page_break(auto=True, margin=_MARGIN + 4)
        self.alias_nb_pages()
        self.add_page()

    @override
    def footer(self) -> None:
        self.set_y(-_MARGIN)
        self.say(f"{self.foot}    {self.page_no()} / {{nb}}", 6.5, colour=_SOFT)

    def say(
        self, text: str, size: float, *, bold: bool = False, colour: tuple[int, int, int] = _INK, indent: float = 0.0
    ) -> None:
        """A paragraph, broken into lines."""
        self.set_font(_FONT, "B" if bold else "", size)
        self.set_text_color(*colour)
        self.set_x(self.l_margin + indent)
        self.multi_cell(0, size * 0.48, known(text), align="L", new_x="LMARGIN", new_y="NEXT")

    def picture(self, png: bytes, alt: str) -> None:
        """One picture under the text, as wide as it may be."""
        across, down = _size_of(png)
        width = min(_WIDEST, _TALLEST * across / down)
        height = width * down / across
        if self.will_page_break(height + 6):
            self.add_page()
        self.image(io.BytesIO(png), w=width, alt_text=known(alt) or None)
        self.ln(1)


def _size_of(png: bytes) -> tuple[int, int]:
    """Width and height, which stand behind the signature and the name of the first part."""
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def known(text: str) -> str:
    """``text`` with a question mark for every sign that the font lacks."""
    signs = _signs()
    return "".join(sign if ord(sign) in signs or sign in "\n\t" else "?" for sign in text)


@cache
def _signs() -> frozenset[int]:
    from fontTools.ttLib import TTFont

    with TTFont(_font_folder() / _FILES[""], lazy=True) as font:
        return frozenset(font.getBestCmap() or ())


def _font_folder() -> Path:
    import matplotlib as mpl

    return Path(mpl.get_data_path()) / "fonts" / "ttf"


def _heading(pdf: _Sheets, blocks: Sequence[Block]) -> None:
    block = blocks[0]
    size = _SIZES[block.kind]
    if block.kind != "h1":
        pdf.ln(2.4 if block.kind == "h2" else 1.2)
        if pdf.will_page_break(16):
            pdf.add_page()
    pdf.say(block.text, size, bold=True)
    if block.kind == "h2":
        pdf.set_draw_color(*_LINE)
        pdf.line(pdf.l_margin, pdf.get_y() + 0.4, pdf.w - pdf.r_margin, pdf.get_y() + 0.4)
        pdf.ln(1.2)


def _paragraph(pdf: _Sheets, blocks: Sequence[Block]) -> None:
    block = blocks[0]
    size = _SIZES["p"] - (0.8 if block.quiet else 0)
    colour = _SOFT if block.quiet else _INK
    bullet = "\N{BULLET} " if block.kind == "li" else ""
    with _boxed(pdf, block.verdict):
        pdf.say(bullet + block.text, size, colour=colour, indent=4.0 if block.verdict else 2.0 if bullet else 0.0)
        pdf.ln(0.8)


def _small_heading(pdf: _Sheets, blocks: Sequence[Block]) -> None:
    """The verdict in its box, and headings of findings."""
    verdict = blocks[0].verdict
    if not verdict:
        _heading(pdf, blocks)
        return
    with _boxed(pdf, verdict):
        pdf.say(blocks[0].text.capitalize(), 12, bold=True, colour=_BARS.get(verdict, _SOFT), indent=4.0)


@contextmanager
def _boxed(pdf: _Sheets, verdict: str) -> Iterator[None]:
    """A bar in the colour of ``verdict`` beside what is written in the block; none without a verdict."""
    before, sheet = pdf.get_y(), pdf.page_no()
    yield
    if verdict and pdf.page_no() == sheet:
        pdf.set_fill_color(*_BARS.get(verdict, _SOFT))
        pdf.rect(pdf.l_margin, before, 1.2, pdf.get_y() - before, style="F")


def _table(pdf: _Sheets, blocks: Sequence[Block]) -> None:
    facts = blocks[0].kind == "facts"
    columns = max(len(block.cells) for block in blocks)
    pdf.set_font(_FONT, "", _TABLE_SIZE)
    pdf.set_text_color(*_INK)
    pdf.set_fill_color(255)
    pdf.set_draw_color(*_LINE)
    with pdf.table(
        width=_WIDEST,
        col_widths=(30, 70) if facts and columns == 2 else _widths(blocks, columns),
        align="LEFT",
        text_align="LEFT",
        line_height=_TABLE_SIZE * 0.5,
        padding=(0.7, 1.2),
        first_row_as_headings=blocks[0].kind == "head",
        headings_style=FontFace(emphasis="BOLD", fill_color=_WASH),
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
    ) as table:
        for block in blocks:
            row = table.row()
            for place, cell in enumerate([*block.cells, *[""] * (columns - len(block.cells))]):
                name = facts and place == 0
                row.cell(
                    _shortened(known(cell), 1500 if facts else 600), style=FontFace(emphasis="BOLD") if name else None
                )
    pdf.ln(1.6)


def _shortened(text: str, most: int) -> str:
    """``text`` as long as a cell may be, which has to fit on one sheet."""
    return text if len(text) <= most else f"{text[:most]} ... (whole in report.json)"


def _widths(blocks: Sequence[Block], columns: int) -> tuple[int, ...]:
    """Shares of the width, by the longest text of each column."""
    longest = [max(len(block.cells[at]) for block in blocks if at < len(block.cells)) for at in range(columns)]
    return tuple(min(max(length, 8), 60) for length in longest)


def _pictures(pdf: _Sheets, blocks: Sequence[Block]) -> None:
    """Crops of faces side by side as far as they fit; a plot has a line of its own."""
    row: list[Block] = []
    for block in blocks:
        across, down = _size_of(block.png)
        if not down / _SQUARE < across < down * _SQUARE:
            _row_of_faces(pdf, row)
            row = []
            pdf.picture(block.png, block.text)
        else:
            row.append(block)
            if len(row) == 4:
                _row_of_faces(pdf, row)
                row = []
    _row_of_faces(pdf, row)


def _row_of_faces(pdf: _Sheets, row: Sequence[Block]) -> None:
    if not row:
        return
    if pdf.will_page_break(_FACE_WIDTH + 4):
        pdf.add_page()
    top = pdf.get_y()
    for place, block in enumerate(row):
        left = pdf.l_margin + place * (_FACE_WIDTH + 2)
        pdf.image(io.BytesIO(block.png), x=left, y=top, w=_FACE_WIDTH, alt_text=known(block.text) or None)
    pdf.set_y(top + _FACE_WIDTH + 1.5)


_LAYOUT: Mapping[str, Callable[[_Sheets, Sequence[Block]], None]] = {
    "h1": _heading,
    "h2": _heading,
    "h3": _small_heading,
    "p": _paragraph,
    "li": _paragraph,
    "head": _table,
    "row": _table,
    "facts": _table,
    "picture": _pictures,
}


@dataclass
class _Open:
    """What is being read: the text so far, the cells of the open row, the classes of open elements."""

    text: list[str] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    heads: int = 0


class _PageReader(HTMLParser):
    """Collects :class:`Block` from a page of this package."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[Block] = []
        self._open = _Open()
        self._skipping = 0
        self._drawing = 0
        self._facts = False
        self._quiet = False
        self._classes: list[str] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "svg":
            self._drawing += 1
            if self._drawing == 1:
                self._add(Block("plot", given.get("aria-label", "")))
        elif tag in _SKIPPED:
            self._skipping += 1
        elif tag == "div":
            self._classes.append(given.get("class", ""))
        elif tag == "table":
            self._facts = "facts" in given.get("class", "")
        elif tag == "tr":
            self._open.cells, self._open.heads = [], 0
        elif tag == "img":
            self._add_picture(given)
        elif tag in _TEXTS:
            self._open.text = []
            self._quiet = "limits" in given.get("class", "") or tag == "figcaption"
            self._open.heads += tag == "th"

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag == "svg":
            self._drawing -= 1
        elif tag in _SKIPPED:
            self._skipping -= 1
        elif tag == "div" and self._classes:
            self._classes.pop()
        elif tag in ("th", "td"):
            self._open.cells.append(self._taken())
        elif tag == "tr":
            cells = tuple(self._open.cells)
            head = self._open.heads == len(cells) and not self._facts
            self._add(Block("facts" if self._facts else "head" if head else "row", cells=cells))
        elif tag in _TEXTS:
            self._add_text(tag)

    @override
    def handle_data(self, data: str) -> None:
        if not self._skipping and not self._drawing:
            self._open.text.append(data)

    def _taken(self) -> str:
        text = " ".join("".join(self._open.text).split())
        self._open.text = []
        return text

    def _verdict(self) -> str:
        """The class of the open box of a verdict, such as "not-validated"."""
        found = [names.split() for names in self._classes if "verdict" in names.split()]
        return (found[-1][1:] or [""])[0] if found else ""

    def _add_text(self, tag: str) -> None:
        text = self._taken()
        if not text:
            return
        kind: Kind = "h3" if tag == "strong" else "p" if tag == "figcaption" else tag  # type: ignore[assignment]
        self._add(Block(kind, text, quiet=self._quiet, verdict=self._verdict()))

    def _add_picture(self, given: Mapping[str, str]) -> None:
        before, _, data = given.get("src", "").partition("base64,")
        if before == "data:image/png;":
            self._add(Block("picture", given.get("alt", ""), png=base64.b64decode(data)))

    def _add(self, block: Block) -> None:
        self.blocks.append(block)
