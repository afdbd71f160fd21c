"""Pictures of the gallery as files, for its overview and for other pages; on its own page each one shows itself."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from insula.explain.picture import Picture
from insula.plots import INKS, css_variables


def setup(app: Sphinx) -> dict[str, Any]:
    """Give the site the pictures' inks."""
    app.add_css_file("inks.css")
    app.connect("builder-inited", write_inks)
    return {"parallel_read_safe": True}


def write_inks(app: Sphinx) -> None:
    """Write every ink for the light and the dark theme of the site, whatever the reader's system says."""
    folder = Path(app.outdir) / "_static"
    folder.mkdir(parents=True, exist_ok=True)
    themes = ("light", "dark")
    lines = [
        f'html[data-theme="{theme}"]{{' + "".join(f"--{name}:{pair[i]};" for name, pair in INKS.items()) + "}\n"
        for i, theme in enumerate(themes)
    ]
    (folder / "inks.css").write_text("".join(lines), encoding="utf-8")


def scraper(block: Any, block_vars: dict[str, Any], _conf: dict[str, Any]) -> str:
    """Write the picture that a block of an example ends with as an SVG file; the page itself has it already."""
    body = ast.parse(block[1]).body
    shown = block_vars["example_globals"].get("___") if body and isinstance(body[-1], ast.Expr) else None
    if isinstance(shown, Picture):
        path = Path(next(block_vars["image_path_iterator"])).with_suffix(".svg")
        style = f"<style>{css_variables()}</style>"  # an image in a page follows light and dark by itself
        for svg, file in ((shown.narrow, path), (shown.wide, path.with_stem(f"{path.stem}_wide"))):
            file.write_text(svg.replace(">", f">{style}", 1), encoding="utf-8")
    return ""
