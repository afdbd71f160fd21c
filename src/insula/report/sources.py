"""Where things come from: the study, how its signals were cleaned, whom to cite; links, and paths of this computer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath, PureWindowsPath
from typing import Any

from markupsafe import Markup, escape

from insula.data import READERS, info
from insula.evaluation.results import Result
from insula.explain import ANALYSES
from insula.explain.data import DATA
from insula.explain.facts import Facts, real
from insula.models import ENCODERS, MODELS, model_class
from insula.models.card import card_of
from insula.signals.features import words_of

_SOURCE = re.compile(
    r"(?P<url>https?://[^\s<>\"']+[^\s<>\"'.,;:)\]])|(?P<doi>\bdoi:\s?(?P<d>10\.\d{4,9}/[^\s<>\"',;]+[^\s<>\"',;.)\]]))"
    r"|(?P<arxiv>\barXiv[: ](?P<a>\d{4}\.\d{4,5}))|(?P<git>(?<![\w./])github\.com/[\w./-]*\w)"
)
_PATH = re.compile(r"(?<![\w.:/…~])(?:/[^\s/:\"',;()<>]+){2,}/?|(?<![\w/])[A-Za-z]:\\[^\s\"',;()<>]+")


@dataclass(frozen=True)
class Study:
    """The data set of a result: a short title, its citation and licence, and whether its people are simulated."""

    title: str = ""
    citation: str = ""
    where: str = ""
    licence: str = ""
    simulated: bool = False


def study(facts: Facts) -> Study:
    """Name the study: a published data set by its title, your own recordings by their folder."""
    experiment: Mapping[str, Any] = facts.result.config.get("experiment") or {}
    data: Mapping[str, Any] = experiment.get("data") or {}
    name = str(data.get("name") or "")
    if name not in READERS:
        return Study(name)
    known = info(name)
    root = str(data.get("root") or "").rstrip("/\\")
    title = re.split(r"[:(]", known.title)[0].strip()
    if known.own:
        title = re.split(r"[/\\]", root)[-1] or title
    return Study(title, known.citation, known.where, known.licence, known.simulated)


def cleaning(facts: Facts) -> str:
    """Say rate and filter band of each modality that was used."""
    recipe: Mapping[str, Any] = facts.result.config.get("recipe") or {}
    data = DATA.read(facts.result)
    used = list((data.rates_hz if data else None) or {})
    bands = [
        f"{name.upper()} {_band(s)}" for name, s in (recipe.get("signals") or {}).items() if not used or name in used
    ]
    return f"Rates and causal Butterworth filters: {'; '.join(bands)}." if bands else ""


def _band(signal: Mapping[str, Any]) -> str:
    low, high, notch = (real(signal.get(k)) for k in ("highpass_hz", "lowpass_hz", "notch_hz"))
    parts = [f"at {real(signal.get('rate_hz')):g} Hz"]
    if low > 0 and high > 0:
        parts.append(f"{low:g} to {high:g} Hz")
    elif low > 0 or high > 0:
        parts.append(f"above {low:g} Hz" if low > 0 else f"below {high:g} Hz")
    if low > 0 or high > 0:
        parts[-1] += f" (order {signal.get('order')})"
    if notch > 0:
        parts.append(f"notch {notch:g} Hz")
    if signal.get("reference") not in (None, "none"):
        parts.append(f"{signal['reference']} reference")
    return ", ".join(parts)


def features(facts: Facts) -> str:
    """Say which hand-made features rows could read."""
    data = DATA.read(facts.result)
    counts = (data.features if data else None) or {}
    told = [f"{name.upper()} {words_of(name)} ({count})" for name, count in counts.items() if count]
    return f"Hand-made features of a window, where a row reads them: {'; '.join(told)}." if told else ""


def analysed(facts: Facts) -> str:
    """Say how each analysis was made that the result holds."""
    return " ".join(a.methods for a in ANALYSES.values() if a.methods and facts.result.analyses.get(a.name))


def references(facts: Facts) -> tuple[tuple[str, str], ...]:
    """List (what, source) of the data and of every network among the rows."""
    found: dict[str, str] = {}
    data = study(facts)
    if data.citation:
        found[data.title] = data.citation
    if data.where.startswith("http"):
        found[f"{data.title}, files"] = f"{data.where}; licence: {data.licence}"
    for row in facts.rows:
        if row.kind in ("model", "ablation"):
            name = max(
                (m for m in (*MODELS, *ENCODERS) if row.system == m or row.system.startswith(f"{m}_")),
                key=len,
                default="",
            )
            card = card_of(model_class(name)) if name else None
            if card is not None and card.source:
                found.setdefault(card.title, card.source)
    return tuple(found.items())


def linked(text: str) -> Markup:
    """Write a text as HTML in which every web address, DOI and arXiv number is a link."""
    out, at = Markup(""), 0
    for match in _SOURCE.finditer(text):
        href = (
            match["url"]
            or (match["doi"] and f"https://doi.org/{match['d']}")
            or (match["arxiv"] and f"https://arxiv.org/abs/{match['a']}")
            or f"https://{match['git']}"
        )
        out += escape(text[at : match.start()])
        out += Markup('<a href="{}" rel="noreferrer">{}</a>').format(href, match[0])
        at = match.end()
    return out + escape(text[at:])


def public(result: Result) -> Result:
    """Return a result without the absolute paths of the computer that made it; only their last part stays."""
    return replace(
        result,
        protocol=without_paths(result.protocol),
        config=without_paths(result.config),
        provenance=without_paths(result.provenance),
        analyses=without_paths(result.analyses),
        systems=tuple(replace(s, notes=tuple(without_paths(list(s.notes)))) for s in result.systems),
    )


def without_paths(value: Any) -> Any:
    """Shorten every absolute path in texts, lists and mappings to its last part."""
    if isinstance(value, str):
        return _PATH.sub(lambda m: f"…/{_last(m[0])}", value) if "/" in value or "\\" in value else value
    if isinstance(value, Mapping):
        return {k: without_paths(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(v) for v in value]
    return value


def _last(path: str) -> str:
    return (PurePath(path) if path.startswith("/") else PureWindowsPath(path)).name
