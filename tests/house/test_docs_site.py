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


@pytest.mark.slow
def test_the_site_is_whole(tmp_path: Path) -> None:
    """One test, since the build takes a minute and writes into `docs`, where a second one would disturb it."""
    site = built(tmp_path)
    assert wrong_links(site) == []
    assert loads_from_elsewhere(site) == set()
    assert [name for name in EXAMPLES if not has_picture(site, name)] == []
    assert [name for name in MODELS if not has_card(site, name)] == []


def built(out: Path) -> Path:
    pytest.importorskip("sphinx")
    command = [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "--keep-going", "-d", str(out / "trees")]
    done = subprocess.run(
        [*command, str(ROOT / "docs"), str(out / "html")], capture_output=True, text=True, timeout=580, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return out / "html"


def pages(site: Path) -> Iterator[Path]:
    return (path for path in site.rglob("*.html") if "_static" not in path.parts)


def wrong_links(site: Path) -> list[str]:
    """Links and anchors without a target."""
    read = {path.resolve(): Page(path) for path in pages(site)}
    assert len(read) > 60
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
    return wrong


def loads_from_elsewhere(site: Path) -> set[str]:
    """Addresses that a page or a style sheet would fetch from the network."""
    loads = {link for path in pages(site) for link in Page(path).loads if urlsplit(link).scheme in ("http", "https")}
    styles = [css for css in site.rglob("*.css") if re.search(r"url\(['\"]?https?:", css.read_text("utf-8"))]
    return loads | {str(css.relative_to(site)) for css in styles}


def has_picture(site: Path, name: str) -> bool:
    text = (site / "gallery" / f"{name}.html").read_text(encoding="utf-8")
    return 'class="insula-picture"' in text and 'class="plot"' in text


def has_card(site: Path, name: str) -> bool:
    text = re.sub("<[^>]+>", "", (site / "models" / f"{name}.html").read_text(encoding="utf-8"))
    return "a decision" in text and f"insula evaluate --model {name}" in text
