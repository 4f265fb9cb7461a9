"""The page in a real Chromium: by mouse, by keyboard alone, on a phone, in the dark. Nothing is asked for outside."""

from __future__ import annotations

import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from shared.web.app import make_page
from shared.web.config import ServeConfig
from tests.shared.web.conftest import make_work

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), "")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")]
expect = sync_api.expect
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_work(tmp_path_factory.mktemp("browsed"))


@pytest.fixture(scope="module")
def address(work: Path) -> Iterator[str]:
    """The address, with its token, of a server of the work folder; an inspection writes a small case at once."""
    with socket.socket() as listening, pytest.MonkeyPatch.context() as patch:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        page = make_page(work, ServeConfig(), port=port)
        patch.setattr("shared.web.jobs.queue.BOOT", _inspection(work))
        server = uvicorn.Server(uvicorn.Config(page.app, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{port}/?token={page.access.token}"
        server.should_exit = True
        thread.join(60)


def _inspection(work: Path) -> str:
    """A program in place of ``assay inspect``: it tells progress, then copies a case; the network takes minutes."""
    return f"""
import json, os, shutil, sys, time
words = sys.argv[3:]
for done in (1, 2, 3):
    open(os.environ["ASSAY_PROGRESS"], "w").write(json.dumps(
        {{"what": "searching and scoring", "done": done, "total": 4, "unit": "frame", "note": ""}}))
    time.sleep(0.7)
shutil.copytree({str(work / "cases" / "one")!r}, words[words.index("--out") + 1])
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Opens the page in a new context; at the end no script has failed and nothing outside was asked for."""
    contexts, faults = [], []
    base = address.split("/?")[0]

    def outside(url: str) -> None:
        if not url.startswith((base, "blob:", "data:")):
            faults.append(url)

    def refused(text: str) -> None:
        if "Content Security Policy" in text and "sandboxed" not in text:
            faults.append(text)

    def open_page(path: str = "/cases", **options: Any) -> Any:
        context = browser.new_context(viewport=options.pop("viewport", {"width": 1280, "height": 900}), **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: outside(request.url))
        page.on("console", lambda said: refused(said.text))
        page.goto(address)
        page.goto(base + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def case_path(page: Any, name: str) -> str:
    row = page.locator("tr[data-case]", has_text=name).first
    row.wait_for()
    return "/cases/" + row.get_attribute("data-case")


def open_case(visit: Callable[..., Any], name: str = "cases/one", **options: Any) -> Any:
    page = visit(**options)
    path = case_path(page, name)
    page.goto(page.url.split("/cases")[0] + path)
    expect(page.locator(".player")).to_have_attribute("data-shown", "0")
    return page


def shown(page: Any, index: int) -> None:
    expect(page.locator(".player").first).to_have_attribute("data-shown", str(index))


def follow(page: Any, link: Any) -> None:
    """Follows a link and waits until the next page's script has run: before that it hears no key and no click."""
    with page.expect_navigation(wait_until="domcontentloaded"):
        link.click()


def test_a_file_is_handed_in_followed_and_read(visit, work):
    page = visit()
    data = (work / "suspect.mp4").read_bytes()
    page.set_input_files("#files", {"name": "handed in.mp4", "mimeType": "video/mp4", "buffer": data})
    box = page.locator(".job", has_text="handed in.mp4")
    expect(box.locator("progress")).to_be_visible(timeout=PATIENCE)
    expect(box).to_contain_text("searching and scoring")
    page.reload()  # the job goes on
    row = page.locator("tr[data-case]", has_text="handed in.mp4")
    expect(row).to_be_visible(timeout=PATIENCE)
    follow(page, row.locator("a"))
    shown(page, 0)
    page.get_by_role("tab", name="Report").click()
    report = page.frame_locator("iframe.report")
    expect(report.locator("h1")).to_have_text("Inspection")
    (case,) = (work / "serve" / "cases").glob("*/report.html")
    assert case.is_file()


def test_ten_frames_layers_and_the_timeline_by_mouse(visit):
    page = open_case(visit)
    forward = page.get_by_role("button", name=re.compile("One frame on"))
    for index in range(1, 11):
        forward.click()
        shown(page, index)
    expect(page.locator(".picture .box")).to_have_count(1)
    expect(page.locator(".picture .label")).to_contain_text("face 0")
    for layer, shape, count in (("Boxes", ".box", 1), ("Landmarks", ".point", 68), ("Region", ".crop", 1)):
        before = page.locator(f".picture {shape}").count()
        page.get_by_role("button", name=layer).click()
        expect(page.locator(f".picture {shape}")).to_have_count(0 if before else count)
        page.get_by_role("button", name=layer).click()
        expect(page.locator(f".picture {shape}")).to_have_count(before)
    box = page.locator(".timeline").bounding_box()
    page.mouse.click(box["x"] + box["width"] - 13, box["y"] + 40)
    shown(page, 29)
    with page.expect_download() as got:
        page.get_by_role("link", name="PNG").click()
    assert got.value.suggested_filename == "frame-29.png"


def test_everything_by_keyboard_alone(visit):
    page = open_case(visit)
    steps = {"ArrowRight": 1, "Shift+ArrowRight": 11, "PageDown": 15, "PageUp": 10, "End": 29, "Home": 0}
    for key, index in steps.items():
        page.keyboard.press(key)
        shown(page, index)
    page.keyboard.press("PageDown")
    shown(page, 5)
    page.keyboard.press("r")
    expect(page.locator(".picture image")).to_have_count(1)
    page.keyboard.press("n")
    page.keyboard.type("The jaw flickers; r and l are letters here.")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    note = page.locator("#notes li")
    expect(note).to_have_count(1)
    expect(note).to_contain_text("frame 5")
    expect(page.locator(".timeline .mark")).to_have_count(1)
    page.get_by_role("tab", name="Player").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#steps")).to_contain_text("The jaw flickers")
    assert "frame 5" in note.inner_text()


def test_two_cases_are_stepped_together(visit):
    page = visit()
    for name in ("cases/one", "cases/two"):
        page.locator("tr[data-case]", has_text=name).get_by_role("checkbox").check()
    page.get_by_role("button", name="Compare two").click()
    players = page.locator(".player")
    expect(players).to_have_count(2)
    for number in range(2):
        expect(players.nth(number)).to_have_attribute("data-shown", "0")
    page.keyboard.press("Shift+ArrowRight")
    for number in range(2):
        expect(players.nth(number)).to_have_attribute("data-shown", "10")
    expect(page.locator("#differences")).to_contain_text("verdict")
    assert [players.nth(number).get_attribute("data-shown") for number in range(2)] == ["10", "10"]


def test_search_finds_by_name_and_result(visit):
    page = visit()
    rows = page.locator("tr[data-case]")
    expect(rows.first).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("fake two")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("cases/two")
    assert "cases/one" not in page.locator("main").inner_text()


def test_faces_are_set_aside_and_a_set_is_stepped(visit):
    page = visit("/faces")
    follow(page, page.get_by_role("link", name=re.compile("actor-50057")))
    face = page.locator(".face").nth(1)
    face.click()
    page.keyboard.press("x")
    expect(page.locator(".face.aside")).to_have_count(1)
    page.locator(".face.aside").click()
    page.get_by_role("button", name="Take back").click()
    expect(page.locator(".face.aside")).to_have_count(0)
    page.goto(page.url.split("/faces")[0] + "/sets")
    follow(page, page.locator(".tile"))
    page.select_option("#label", "fake")
    follow(page, page.locator("#clips a").first)
    shown(page, 0)
    expect(page.locator(".pane")).to_have_count(5)
    page.keyboard.press("ArrowRight")
    shown(page, 1)
    assert page.locator(".pane").count() == 5


def test_landmarks_are_placed_by_hand_and_saved(visit, work):
    page = visit("/landmarks")
    follow(page, page.locator(".cliplist a", has_text="suspect").first)
    expect(page.locator("[data-editor]")).to_have_attribute("data-shown", "0")
    box = page.locator("svg.edit").bounding_box()
    x, y, side = box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.2, box["width"] * 0.5
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + side / 2, y + side / 2)
    page.mouse.move(x + side, y + side)
    page.mouse.up()
    expect(page.locator(".edit .point")).to_have_count(68)
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("1 frame set")
    assert (work / "suspect.landmarks.parquet").is_file()


def test_a_training_is_followed_while_it_writes(visit, work):
    folder = work / "swapper"
    page = visit("/runs")
    follow(page, page.locator(".run", has_text="swapper"))
    expect(page.locator(".chart .line").first).to_be_visible(timeout=PATIENCE)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 777, "loss": 0.01}\n')
    (folder / "previews").mkdir(exist_ok=True)
    shutil.copy(work / "faces" / "actor-50057" / "crops" / "00000000.png", folder / "previews" / "latest.jpg")
    expect(page.locator("#told")).to_contain_text("step 777")
    expect(page.locator("#preview")).to_be_visible(timeout=PATIENCE)


@pytest.mark.parametrize("path", ["/cases", "case", "/runs", "/sets", "/faces", "/jobs"])
def test_on_a_phone_in_the_dark_nothing_is_wider_than_the_screen(visit, path):
    options = {"viewport": PHONE, "color_scheme": "dark", "has_touch": True}
    page = open_case(visit, **options) if path == "case" else visit(path, **options)
    page.locator("h1").wait_for()
    time.sleep(0.5)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(int(value) for value in re.findall(r"\d+", dark)[:3]) < 60
