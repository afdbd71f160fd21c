"""Pages and tables made from the registries while the site is built, so that nothing is typed twice.

A page for each network of `MODELS` (``docs/models/``), and the directive ``registry`` with a table of ``models``,
``rows``, ``protocols`` or ``data``.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from docutils.nodes import Node
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from insula.data import READERS, info, load
from insula.errors import InsulaError
from insula.explain.cost import joules_text
from insula.explain.cost.systems import network_energy
from insula.learning.classical_rows import CLASSICAL
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.models import MODELS, card, model_class
from insula.models.card import ModelCard
from insula.protocols.protocols import PROTOCOLS
from insula.signals.recipe import SignalRecipe
from insula.windows.cutting import cut
from insula.windows.table import Windows

SIZES = ("small", "medium")


@dataclass(frozen=True)
class Size:
    """What a network of one size weighs and spends on the simulated people, or why it was not built."""

    parameters: int = 0
    decision: str = ""
    reads: str = ""
    why_not: str = ""


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the pages and the directive."""
    app.add_directive("registry", Registry)
    app.connect("builder-inited", write_models)
    return {"parallel_read_safe": True}


def write_models(app: Sphinx) -> None:
    """Write a page for every network."""
    folder = Path(app.srcdir) / "models"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    bare = people(False)
    whole = people(True)
    ledger = (Path(app.srcdir) / "ledger.md").read_text(encoding="utf-8")
    for name in MODELS:
        windows = bare if set(card(name).reads) <= set(bare.schema.modalities) else whole
        sizes = {size: weighed(name, size, windows) for size in SIZES}
        (folder / f"{name}.md").write_text(page(name, card(name), sizes, ledger), encoding="utf-8")


def people(eyes_and_answers: bool) -> Windows:
    """One simulated person; with gaze, pupil and answers for the networks that cannot do without."""
    recipe = info("simulate").recipe
    if not eyes_and_answers:
        return cut(load("simulate", people=1), recipe, "emotion")
    more = {"eye": SignalRecipe(rate_hz=60.0), "self_report": SignalRecipe(rate_hz=1.0)}
    found = load("simulate", people=1, eyes=True, self_report=True)
    return cut(found, replace(recipe, signals={**recipe.signals, **more}), "emotion")


def weighed(name: str, size: str, windows: Windows) -> Size:
    """Build a network with fresh weights and count it."""
    try:
        model = Estimator(EstimatorConfig(model=name, size=size, normaliser="population")).initialise(windows)
        found = network_energy(name, name, "model", model, windows, "fresh", runs=1)
    except InsulaError as error:
        return Size(why_not=str(error))
    return Size(found.parameters, joules_text(found.joules_decision), found.reads)


def page(name: str, facts: ModelCard, sizes: dict[str, Size], ledger: str) -> str:
    """Write the page of one network in Markdown."""
    kind = model_class(name)
    parts = [
        f"# {facts.title}",
        f"{facts.summary.rstrip('.')}." if facts.summary else "",
        f"```\ninsula evaluate --model {name} --data simulate --quick --out runs/{name}\n```",
        "{.facts}\n" + table(("what", "here"), facts_of(facts, sizes)),
        f"## What is published, what is ours\n\n(p) is published, (?) our choice.\n\n"
        f"```{{eval-rst}}\n.. autoclass:: {kind.__module__}.{kind.__qualname__}\n   :no-members:\n   :no-index:\n```",
    ]
    if facts.claims:
        rows = [
            (c.data, c.target, f"{c.value:g} ({c.metric})", c.protocol + (" (inferred)" if c.inferred else ""),
             f"`{c.ours}`" if c.ours else "", c.citation)
            for c in facts.claims
        ]  # fmt: skip
        parts.append("## Published figures\n\nTheirs, by their protocols. Ours are in the [ledger](../ledger.md).")
        parts.append(table(("data", "target", "figure", "how it was got", "protocol here", "source"), rows))
    if facts.variants:
        rows = [
            (f"`{name}_{key}`", v.title, v.role, ", ".join(f"{k} = {o}" for k, o in v.options.items()))
            for key, v in facts.variants.items()
        ]
        parts.append("## Variants")
        parts.append(table(("row", "what it is", "as a", "options"), rows))
    parts.append(f"## In the ledger\n\n{in_ledger(facts, ledger)}")
    if facts.experiment:
        parts.append(
            "## The published recipe\n\n```\n"
            f"insula evaluate --experiment experiments/{facts.experiment} --root DIR --out runs/{name}\n```"
        )
    return "\n\n".join(part for part in parts if part) + "\n"


def facts_of(facts: ModelCard, sizes: dict[str, Size]) -> list[tuple[str, str]]:
    """What is known of a network, (what, finding)."""
    out = [("source", facts.source), ("cannot do without", ", ".join(facts.reads) or "nothing: any sensor will do")]
    out.append(("reads", next((s.reads for s in sizes.values() if s.reads), "")))
    for size, found in sizes.items():
        told = found.why_not or f"{found.parameters:,} parameters, {found.decision} a decision"
        if told not in [text for _, text in out]:
            out.append((size, told))
    out.append(("state", "carried from hop to hop" if facts.step else "none: reads whole windows"))
    out.append(("ONNX", facts.not_exportable or "`insula export`"))
    return [(what, text) for what, text in out if text]


def in_ledger(facts: ModelCard, ledger: str) -> str:
    """Rows of the ledger that are this network's or its variants', each with the heading it stands under."""
    titles = [facts.title, *(v.title for v in facts.variants.values())]
    out: list[str] = []
    heading, head = "", []
    for line in ledger.splitlines():
        if line.startswith("#"):
            heading, head = line.lstrip("# "), []
        elif line.startswith("|"):
            head.append(line)
            name = re.sub(r" \(not shown.*", "", line.strip("| ").split(" | ")[0])
            if len(head) > 2 and name in titles and "random windows" in head[0]:
                out += [f"{heading}:\n\n{head[0]}\n{head[1]}\n{line}"]
        else:
            head = []
    return "\n\n".join(out) or "It has no row there yet."


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(c).replace("|", r"\|").replace("\n", " ") for c in row) + " |"
                     for row in lines)  # fmt: skip


def models() -> str:
    """Write the table of networks."""
    rows = [
        (f"[{card(n).title}](models/{n}.md)", f"`{n}`", f"{card(n).summary.rstrip('.')}. *{card(n).source}*")
        for n in MODELS
    ]
    return table(("network", "`--model`", "what it is"), rows)


def rows() -> str:
    """Write the table of classical rows and baselines."""
    return table(
        ("row", "`--model`", "what it is"),
        [(one.title, f"`{name}`", one.description) for name, one in CLASSICAL.items()],
    )


def protocols() -> str:
    """Write the table of protocols."""
    return table(
        ("`--protocol`", "what it tests, how, and what it cannot show"),
        [
            (f"`{p.name}`" + (" (leaky)" if p.leaky else ""),
             f"**Recognised {p.where}**: {p.how}. {p.limits} *Needs {p.needs}.*")
            for p in PROTOCOLS.values()
        ],
    )  # fmt: skip


def data() -> str:
    """Write the table of data sets."""
    known = [(name, info(name)) for name in READERS]
    return table(
        ("`--data`", "what", "targets", "licence"),
        [(f"`{name}`", one.title, ", ".join(one.targets), one.licence) for name, one in known],
    )


TABLES: dict[str, Callable[[], str]] = {"models": models, "rows": rows, "protocols": protocols, "data": data}


class Registry(SphinxDirective):
    """A table of one registry."""

    required_arguments = 1

    def run(self) -> list[Node]:
        """Write the table where the directive stands."""
        return self.parse_text_to_nodes(TABLES[self.arguments[0]]())
