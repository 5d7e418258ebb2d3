"""Chromium, to look at a page as a person would."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# What is not written in a page that is opened: text with its contrast (WCAG 2) and its
# size on the screen.
TEXTS = """() => {
  const canvas = document.createElement('canvas').getContext('2d');
  const rgba = colour => {
    canvas.fillStyle = colour; canvas.clearRect(0, 0, 1, 1);
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgba(getComputedStyle(e).backgroundColor);
      if (colour[3] > 0) return colour;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim(), style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    if (!text || !box.width || style.visibility == 'hidden') continue;
    const isChart = element.ownerSVGElement != null;
    const [one, other] = [rgba(isChart ? style.fill : style.color), behind(element)]
      .map(light).sort((a, b) => b - a);
    const scale = isChart ? element.getScreenCTM().a : 1;
    found.push({text, isChart, contrast: (one + 0.05) / (other + 0.05),
      pixels: parseFloat(style.fontSize) * scale, weight: parseInt(style.fontWeight)});
  }
  return found;
}"""


@dataclass
class Look:
    """An open page, and what it said and asked for while it opened."""

    page: Page
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def overflow(self) -> int:
        """Pixels that it is wider than its window."""
        return self.page.evaluate(
            "document.documentElement.scrollWidth - window.innerWidth"
        )

    def texts(self) -> list[dict[str, Any]]:
        """Each visible text: contrast, pixels, weight, isChart."""
        return self.page.evaluate(TEXTS)

    def charts(self) -> list[dict[str, float]]:
        """Box of each chart, and how many marks it has."""
        return self.page.locator("figure svg").evaluate_all(
            """charts => charts.map(chart => {
              const {width, height} = chart.getBoundingClientRect();
              const marks = [...chart.querySelectorAll(
                '[class*=mark-]:not([class*=role-axis]) > :is(path, line, text)')];
              return {width, height, marks: marks.filter(mark => {
                const box = mark.getBoundingClientRect();
                return box.width + box.height > 0;}).length};
            })"""
        )


def executable() -> str:
    """Chromium on PATH; without one the test fails, since nothing else looks."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.fail(
            f"There is no browser on PATH (looked for {', '.join(NAMES)}). "
            "Next: apt-get install chromium (CONTRIBUTING.md)",
            pytrace=False,
        )
    return found


@contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=executable(), args=["--disable-quic", "--disable-gpu"]
        )
        yield opened
        opened.close()


@contextmanager
def look(
    browser: Browser, path: Path, width: int, scheme: str = "light"
) -> Iterator[Look]:
    """Open a file in a window that is `width` wide, everything unfolded, no network."""
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True
    )
    found = Look(context.new_page())
    found.page.on("console", lambda message: found.console.append(message.text))
    found.page.on("pageerror", lambda error: found.console.append(str(error)))
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.goto(path.as_uri())
    found.page.evaluate(
        "document.querySelectorAll('details').forEach(one => { one.open = true })"
    )
    yield found
    context.close()
