"""Chromium's view of a page: what is wider than a phone's screen."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PHONE_PX = 390
# A frame, because Chromium's own window is never narrower than 500 px.
_FRAME = """<html><body><iframe id="phone" style="width: 390px; height: 844px; border: 0"></iframe><script>
const phone = document.getElementById("phone");
phone.addEventListener("load", () => {
  const page = phone.contentDocument, width = phone.contentWindow.innerWidth;
  const inside = (node) => node.closest(".wide") && !node.matches(".wide");
  const wide = [...page.querySelectorAll("body *")].filter(
    (node) => !inside(node) && node.getBoundingClientRect().right > width + 1);
  document.documentElement.setAttribute("data-width", width);
  document.documentElement.setAttribute("data-wide", wide.map((node) => node.tagName + "." + node.className).join(" "));
});
phone.srcdoc = %s;
</script></body></html>"""


def too_wide(page: str, scratch: Path) -> str:
    """Tags and classes of what reaches beyond a screen of 390 px, outside of boxes that scroll; else empty.

    Skips the test where Chromium is not installed.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("chromium is not installed")
    framed = scratch / "page.html"
    framed.write_text(_FRAME % json.dumps(page).replace("</", "<\\/"))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000", "--hide-scrollbars"]
    flags += [f"--user-data-dir={scratch / 'profile'}", "--dump-dom"]
    made = subprocess.run([chromium, *flags, framed.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    width = re.search(r'data-width="(\d+)"', made.stdout)
    wide = re.search(r'data-wide="([^"]*)"', made.stdout)
    assert width is not None
    assert wide is not None
    assert int(width[1]) == PHONE_PX
    return wide[1]
