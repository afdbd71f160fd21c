"""The documentation site is built whole: no warning, no link into nothing, nothing from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from insula.models import MODELS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("plot_*.py"))
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("site")]  # one build, by one worker


class Page(HTMLParser):
    """Addresses that a page refers to, and its anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        self.anchors |= {known[name] for name in ("id", "name") if name in known}
        if tag == "a" and "href" in known:
            self.links.add(known["href"])
        elif "src" in known or (tag == "link" and "href" in known):
            self.loads.add(known.get("src") or known.get("href", ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sphinx")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "--keep-going", "-d", str(out / "trees")]
    done = subprocess.run(
        [*command, str(ROOT / "docs"), str(out / "html")], capture_output=True, text=True, timeout=1500, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return out / "html"


def pages(site: Path) -> Iterator[Path]:
    return (path for path in site.rglob("*.html") if "_static" not in path.parts)


def test_links_and_anchors_have_targets(site: Path) -> None:
    read = {path.resolve(): Page(path) for path in pages(site)}
    wrong = []
    for path, page in read.items():
        for link in page.links | page.loads:
            parts = urlsplit(link)
            if parts.scheme or link in ("", "#"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            missing = not target.exists()
            if not missing and parts.fragment and target in read:
                missing = unquote(parts.fragment) not in read[target].anchors
            if missing:
                wrong.append(f"{path.relative_to(site.resolve())}: {link}")
    assert len(read) > 60
    assert wrong == []


def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    loads = {link for path in pages(site) for link in Page(path).loads if urlsplit(link).scheme in ("http", "https")}
    styles = [text for css in site.rglob("*.css") if re.search(r"url\(['\"]?https?:", text := css.read_text("utf-8"))]
    assert loads == set()
    assert styles == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_made_its_picture(site: Path, name: str) -> None:
    text = (site / "gallery" / f"{name}.html").read_text(encoding="utf-8")
    assert text.count('class="insula-picture"') >= 1
    assert 'class="plot"' in text


@pytest.mark.parametrize("name", MODELS)
def test_every_network_has_its_card(site: Path, name: str) -> None:
    text = re.sub("<[^>]+>", "", (site / "models" / f"{name}.html").read_text(encoding="utf-8"))
    assert "a decision" in text
    assert f"insula evaluate --model {name}" in text
