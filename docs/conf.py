"""How the documentation site is built: `make docs` writes build/docs and opens no connection."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import insula

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
for made in ("api", "gallery"):  # nothing is left of an earlier build
    shutil.rmtree(HERE / made, ignore_errors=True)

project = "insula"
author = "The insula authors"
copyright = f"2026, {author}. BSD-3-Clause"
version = release = insula.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "myst_parser",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "pictures",
    "registries",
    "repository_links",
]
exclude_patterns = ["_ext", "**/sg_execution_times.rst", "sg_execution_times.rst"]
highlight_language = "bash"  # fences without a language hold commands
default_role = "code"  # names in single backticks

# Pages are read on the repository too: plain Markdown, links to headings as there.
myst_enable_extensions = ["attrs_block", "colon_fence"]
myst_heading_anchors = 4

# The API, from docstrings. A parameter's words stand where other packages write its type.
autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "undoc-members": False}
napoleon_google_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # types of other packages have no page here

# Every example runs at every build and makes its own picture.
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "ignore_pattern": "live_client",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("pictures.scraper",),
    "capture_repr": ("_repr_html_",),
    "reset_modules": (),
    "abort_on_example_error": True,
    "run_stale_examples": True,
    "write_computation_times": False,
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,
}

html_theme = "pydata_sphinx_theme"
html_title = "insula"
html_static_path = ["_static"]
html_css_files = ["insula.css"]
html_show_sourcelink = False
html_copy_source = False
html_show_sphinx = False
html_context = {"default_mode": "auto"}
html_sidebars = {"index": [], "glossary": []}
html_theme_options = {
    "logo": {"text": "insula"},
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "show_prev_next": True,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
