"""The longer texts of a report: what figures mean, what predictions must not be used for, methods for a paper."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from insula.explain import ANALYSES
from insula.explain.facts import Facts, opponent, real
from insula.explain.wording import p_text, range_text, score_text, the, tick_text
from insula.report import sources
from insula.report.words import null_p, protocol_of


def meaning(facts: Facts) -> tuple[tuple[str, str], ...]:
    """Say what the figures mean and what they cannot show, as (term, explanation) in reading order."""
    k = len(facts.result.classes)
    out = [
        (
            "Labels are not feelings",
            f"The model was asked to match labels ({facts.result.target}) that came from a task, a film clip or a "
            "questionnaire. Matching them is not reading a mind.",
        )
    ]
    if facts.continuous:
        out.append(
            (
                "CCC",
                "Concordance: 1 when predictions equal the truth in level and movement, 0 when they carry nothing.",
            )
        )
    else:
        out.append(
            (
                "Balanced accuracy",
                f"The share of windows recognised, each of the {k} classes counting the same. Always saying the same "
                f"thing scores {tick_text(facts, facts.chance)}, however unequal the classes.",
            )
        )
    people = facts.headline.unit == "people"
    few = "It is over the trials of one person, so that it says nothing about people in general. "
    out.append(
        (
            "The interval",
            f"Student's t, 95 %, over {facts.headline.people} people. "
            + ("" if people else few)
            + (
                "With fewer than 6 people it says nothing about people in general. "
                if facts.headline.people < 6
                else ""
            )
            + "Other people, another laboratory or another device may well lie outside it.",
        )
    )
    if facts.clock is not None:
        out.append(
            (
                "The time alone",
                "A row that sees only how long the session has lasted. Where labels follow a schedule it can score "
                "high without any body signal; what does not beat it is no evidence about the body.",
            )
        )
    if math.isfinite(facts.headline.contrast):
        out.append(
            (
                "Person-swap contrast",
                "The score against a person's own labels minus the score against other people's labels at the same "
                "minute. A model that only knows the schedule has a contrast of 0.",
            )
        )
    known = protocol_of(facts)
    out.append(("Who it is about", known.limits if known else "Only splits like this one are measured here."))
    if any(a.part == "inside" and facts.result.analyses.get(a.name) for a in ANALYSES.values()):
        out.append(
            (
                "Explanations are of the model",
                "Attention, time constants and the latent map describe this network. They are not physiology, and "
                "another network with the same score may look different.",
            )
        )
    return tuple(out)


MISUSE = (
    (
        "No consent, no prediction",
        "People must know that their signals are read for emotion, agree to it, and be able to stop and to have their "
        "data erased.",
    ),
    (
        "Not a medical device",
        "Nothing here diagnoses, screens or monitors a condition, and no treatment may rest on it.",
    ),
    (
        "Not at work, not at school",
        "Emotion inference in workplaces and education is forbidden in the European Union, save for medical or safety "
        "reasons (AI Act, Regulation 2024/1689, Article 5), and unfair anywhere at error rates like these.",
    ),
    (
        "Not for decisions about a person",
        "Hiring, credit, insurance, policing, border control, custody, lie detection: the errors are too many, they "
        "fall unevenly on people (see the figures person by person), and a person cannot contest a heartbeat.",
    ),
)
"""What such predictions must not be used for: (headline, explanation)."""


def methods(facts: Facts) -> str:
    """Write the methods paragraph of a paper from the result's own record."""
    result, head = facts.result, facts.headline
    config, provenance = result.config, result.provenance
    name = sources.study(facts).title or "the recordings named below"
    frame = facts.predictions(head.system)
    sizes = (
        f"{len(facts.people)} people, {len(frame.drop_duplicates(['subject', 'session', 'trial'])):,} trials, "
        f"{len(frame.drop_duplicates(['subject', 'session', 'trial', 'stop_s'])):,} windows scored"
    )
    protocol = str(result.protocol.get("name"))
    recipe: Mapping[str, Any] = config.get("recipe") or {}
    aim = (
        "as a continuous value"
        if facts.continuous
        else f"into {len(result.classes)} classes ({', '.join(result.classes)})"
    )
    parts = [f"We predicted {result.target} {aim} from {name} ({sizes})."]
    if recipe.get("window_s"):
        parts.append(
            f"Signals were cleaned causally and cut into windows of {real(recipe['window_s']):g} s every "
            f"{real(recipe.get('hop_s')):g} s inside trials; the first {real(recipe.get('guard_s')):g} s of each trial "
            "were left out."
        )
        parts += [text for text in (sources.cleaning(facts), sources.features(facts)) if text]
    folds, known = result.protocol.get("folds"), protocol_of(facts)
    count = f" ({folds} folds)" if isinstance(folds, int) else ""
    parts.append(
        f"Protocol {protocol}{count}: {known.how if known else 'as named'}; inner validation was grouped the same way."
    )
    size = f" with {head.parameters:,} parameters" if head.parameters else ""
    scope = f"; state, context and normaliser had {head.scope} scope" if head.kind == "model" else ""
    person = f" (per-person normaliser: {head.normaliser})" if head.normaliser else ""
    parts.append(f"The system reported is {the(head)}{size}{scope}{person}.")
    if head.budget:
        asked = ", ".join(f"{k} {v}" for k, v in (result.experiment.get("train") or {}).items() if v is not None)
        parts.append(f"Training{f' ({asked})' if asked else ''}: {head.budget} (fewest steps of all fits, mean loss).")
    others = [r.title for r in facts.rows if r is not head]
    if others:
        parts.append(f"On the same windows we ran: {'; '.join(others)}.")
    parts.append(
        f"Scores are means over people of {facts.score_name}, with 95 % intervals (Student's t over {head.unit}): "
        f"{score_text(facts, head.score)} ({range_text(facts, head.lo, head.hi)}; chance "
        f"{tick_text(facts, facts.chance)})."
    )
    best = opponent(facts)
    if best is not None:
        parts.append(
            f"The best comparison row, {the(best)}, reached {score_text(facts, best.score)} "
            f"({range_text(facts, best.lo, best.hi)})."
        )
    null: Mapping[str, Any] = result.nulls.get(head.system) or {}
    if math.isfinite(null_p(facts)):
        shuffles = f" ({null['shuffles']} refits)" if null.get("shuffles") else ""
        parts.append(
            f"Against labels permuted between whole trials inside a person{shuffles}, {p_text(null_p(facts))}."
        )
    if facts.result.leaky:
        parts.append(
            "The protocol is leaky: windows of one trial stand on both sides, so that the figure is no estimate."
        )
    parts += [text for text in (sources.analysed(facts),) if text]
    versions: Mapping[str, Any] = provenance.get("versions") or {}
    made = ", ".join(f"{package} {version}" for package, version in versions.items())
    seed = provenance.get("seed")
    parts.append(f"Software: {made or 'versions not recorded'}; seed {seed if seed is not None else 'not recorded'}.")
    return " ".join(parts)
