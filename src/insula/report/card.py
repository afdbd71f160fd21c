"""The model card: what was made, from whom, how it was tested, what it may and may not be used for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from insula.evaluation.results import Result
from insula.explain.facts import gather
from insula.explain.wording import range_text, score_text, tick_text
from insula.report import prose, sources, words
from insula.report.paper import as_markdown, systems
from insula.report.sources import public, study


def model_card(result: Result) -> str:
    """Write the card of a result's headline model as Markdown (after Mitchell et al. 2019, arXiv:1810.03993)."""
    facts = gather(public(result))
    head, data = facts.headline, study(facts)
    verdict = words.verdict(facts)
    size = f"{head.parameters:,} parameters" if head.parameters else "parameters not counted"
    about = [
        f"- Model: {head.title}, {size}, state of {head.scope} scope",
        f"- Reads: {', '.join(_modalities(result)) or 'see the recipe'}",
        f"- Recognises: {result.target}" + (f" ({', '.join(result.classes)})" if result.classes else ""),
        f"- Software: insula {dict(result.provenance.get('versions') or {}).get('insula', 'of unknown version')}",
    ]
    people = "simulated people, nobody was recorded" if data.simulated else f"{len(facts.people)} people"
    source = [f"- Study: {data.title or 'not recorded'} ({people})"]
    source += [f"- Licence of the data: {data.licence}"] if data.licence else []
    source += [f"- {what}: {where}" for what, where in sources.references(facts)]
    score = (
        f"{score_text(facts, head.score)} {facts.score_name} ({range_text(facts, head.lo, head.hi)}; chance "
        f"{tick_text(facts, facts.chance)})"
    )
    parts = [
        f"# {head.title}: {result.target}",
        f"{verdict.sentence} {verdict.more}".strip(),
        "\n".join(["## Model", "", *about]),
        "\n".join(["## Data", "", *source]),
        f"## Protocol\n\n{prose.methods(facts)}",
        f"## Scores\n\n{score}\n\n{as_markdown(systems([result]))}".rstrip(),
        "\n".join(["## What the figures cannot show", "", *(f"- {t}: {x}" for t, x in prose.meaning(facts))]),
        "\n".join(["## Not to be used for", "", *(f"- {t}: {x}" for t, x in prose.MISUSE)]),
        "## Licence\n\nThe software is BSD-3-Clause. Weights follow the terms of the data they were trained on, and "
        "the consent of the people in them.",
    ]
    return "\n\n".join(parts) + "\n"


def _modalities(result: Result) -> list[str]:
    from insula.explain.data import DATA

    data = DATA.read(result)
    recipe: Mapping[str, Any] = result.config.get("recipe") or {}
    asked = {name: one["rate_hz"] for name, one in (recipe.get("signals") or {}).items()}
    return [f"{name} at {rate:g} Hz" for name, rate in ((data.rates_hz if data else None) or asked).items()]
