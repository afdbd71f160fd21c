"""What README and docs say exists: every command parses, every link has its target, every page a place on the site."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

import insula
from insula.cli import app

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *(ROOT / "examples").glob("*.py")])
MADE = ("models", "gallery", "api")
"""Folders of docs that are made when the site is built."""
_FENCE = re.compile(r"^ *(```|~~~)(.*?)^ *\1", re.M | re.S)
_INLINE = re.compile(r"`+(insula [^`]+)`+")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@cache
def whole_command() -> Any:
    return typer.main.get_command(app)


def commands(text: str) -> list[tuple[list[str], bool]]:
    """Words of every insula command of a page; whole ones stand in fences, between backticks they may be cut short."""
    lines = [(line, True) for _, body in _FENCE.findall(text) for line in body.replace("\\\n", " ").splitlines()]
    plain = _FENCE.sub("", text).replace("\\\n", " ")
    lines += [(line, True) for line in plain.splitlines() if line.startswith("    insula ")]
    lines += [(" ".join(found.split()), False) for found in _INLINE.findall(plain)]
    found = []
    for line, whole in lines:
        for part in re.split(r"; (?=insula )", line.strip()):
            if re.match(r"(\S*/)?insula ", part):
                words = shlex.split(part.split(" | ")[0], comments=True)[1:]
                found.append(([word.strip("[]") for word in words if word != "..."], whole))
    return found


def misunderstood(words: list[str], whole: bool) -> str:
    """What is wrong with the words of a command, nothing where it parses; nothing is run."""
    command: Any = whole_command()
    context, name, rest = None, "insula", words
    try:
        while hasattr(command, "resolve_command") and rest and not rest[0].startswith("--"):
            context = command.make_context(name, list(rest), parent=context)
            name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        if rest and not hasattr(command, "resolve_command"):
            command.make_context(name, list(rest), parent=context)
    except Exception as error:  # click's errors, which typer keeps to itself
        said = f"{type(error).__name__} {getattr(error, 'message', '') or error}"
        return said if whole or ("Missing" not in said and "requires an argument" not in said) else ""
    return ""


@cache
def slugs(path: Path) -> set[str]:
    """Anchors of a page's headings, as the repository and the site make them."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    heads = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_commands_of_a_page_parse(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        return  # says what was
    wrong = [
        f"insula {' '.join(words)}: {found}"
        for words, whole in commands(page.read_text(encoding="utf-8"))
        if (found := misunderstood(words, whole))
    ]
    assert wrong == []


@pytest.mark.parametrize("page", [p for p in PAGES if p.suffix == ".md"], ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_of_a_page_have_targets(page: Path) -> None:
    wrong = []
    for link in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if "://" in link or link.startswith("mailto:") or path.split("/")[0] in MADE:
            continue
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in slugs(target)):
            wrong.append(link)
    assert wrong == []


def test_every_page_has_its_place_on_the_site() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in DOCS.glob("*.md"))
    listed = "\n".join(re.findall(r"```{toctree}(.*?)```", text, re.S))
    placed = {words.strip("<>") for words in re.findall(r"<?[\w-]+>?$", listed, re.M)}
    missing = {page.stem for page in DOCS.glob("*.md")} - placed - {"index"}
    assert missing == set(), "name it in a toctree: quick-start, protocols, models, apps or contributing"


def test_every_public_name_has_its_place_in_the_api() -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    told = {*re.findall(r"^   (\w+)$", page, re.M), *re.findall(r"`(\w+)`", page)}
    assert set(insula.__all__) <= told


def test_examples_are_short_and_fake_nobody() -> None:
    for script in (ROOT / "examples").glob("plot_*.py"):
        assert len(script.read_text(encoding="utf-8").splitlines()) <= 60, script.name
