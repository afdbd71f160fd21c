"""Links between files of the repository, made into links between pages of the site."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

PAGES = {
    "../README.md": "quick-start.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../CHANGELOG.md": "changelog.md",
}
_LINK = re.compile(r"\[([^\]]*)\]\((\.\./[^)#\s]+)(#[^)\s]*)?\)")


def setup(app: Sphinx) -> dict[str, Any]:
    """Change pages as they are read."""
    app.connect("source-read", lambda _app, name, text: text.__setitem__(0, on_site(name, text[0])))
    return {"parallel_read_safe": True}


def on_site(name: str, text: str) -> str:
    """Turn links to files above docs/ into links to their pages; examples are files to take, of code the words stay."""
    if "/" in name:
        return text

    def page(match: re.Match[str]) -> str:
        words, path, anchor = match[1], match[2], match[3] or ""
        if path in PAGES:
            return f"[{words}]({PAGES[path]}{anchor})"
        return match[0] if path.startswith("../examples/") else words

    return _LINK.sub(page, text)
