"""Answer files beside the signals: ratings a trial become labels, questionnaires and facts about people traits."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

import numpy as np
import pandas as pd

from insula.data.draft.logs import tidy
from insula.data.draft.look import PERSON, Look
from insula.data.draft.rows import free
from insula.data.formats.tables import is_empty, to_numbers
from insula.data.questionnaires import recognise, score
from insula.errors import InsulaError

_TRIAL = ("trial", "trial_number", "clip", "video", "stimulus", "film", "item", "block", "condition", "task", "song")
_SESSION = ("session", "visit", "day", "wave", "time_point")


Key = Callable[[str], str]


def naming(people: Collection[str]) -> Key:
    """Return what makes names comparable: by number, unless two people here differ by more (``C01`` and ``P01``)."""
    by_number = len({_number(p) for p in people}) == len(set(people))
    return _number if by_number else lambda text: text.strip().lower()


def _number(text: str) -> str:
    """Make names comparable: ``S01``, ``sub-1`` and ``1`` are one."""
    low = text.strip().lower()
    digits = re.fullmatch(r"(?:[a-z]*[-_ ]?)0*(\d+)(?:\.0)?", low)
    return digits[1] if digits else low


def _column(table: pd.DataFrame, wanted: Collection[str]) -> str | None:
    return next((str(c) for c in table.columns if str(c).strip().lower() in wanted), None)


def names_trials(table: pd.DataFrame) -> bool:
    """Tell whether a column says which trial a row is about."""
    return _column(table, _TRIAL) is not None


def persons_column(table: pd.DataFrame, people: Sequence[str]) -> str | None:
    """Return the column that says whose row it is: named so, and with the name of somebody here."""
    key = naming(people)
    known = {key(p) for p in people}
    for name in table.columns:
        if str(name).strip().lower() in PERSON and {key(v) for v in table[name]} & known:
            return str(name)
    return None


def join(
    name: str, look: Look, rows: list[dict[str, str]], people: list[str], reasons: list[str], unknown: list[str]
) -> list[dict[str, str]]:
    """Add the columns of a table with a row a person and trial to the manifest's rows, as labels."""
    table = look.table
    if table is None:
        return rows
    person = persons_column(table, people)
    trial = _column(table, _TRIAL)
    if person is None or trial is None:
        if person is None:
            unknown.append(f"{name}: none of its people has the name of one here; it was left out")
        elif table[person].map(naming(people)).duplicated().any():
            unknown.append(f"{name}: several rows a person and no column of trials or clock times; it was left out")
        return rows
    session = _column(table, _SESSION)
    who, which = naming(people), naming({row["trial"] for row in rows})
    keys = [(who(p), which(t), _number(s)) for p, t, s in zip(
        table[person], table[trial], table[session] if session else [""] * len(table), strict=True)]  # fmt: skip
    if len(set(keys)) < len(keys):
        unknown.append(f"{name}: more than one row a person and trial; it was left out")
        return rows
    labels = [str(c) for c in table.columns if str(c) not in (person, trial, session) and not is_empty(table[c]).all()]
    place = {key: i for i, key in enumerate(keys)}
    met: set[int] = set()
    out = []
    for row in rows:
        key = (who(row["subject"]), which(row["trial"]), _number(row["session"]) if session else "")
        i = place.get(key)
        told = {} if i is None else {free(tidy(c)): str(table[c].iloc[i]).strip() for c in labels}
        met |= set() if i is None else {i}
        out.append(row | told)
    if not met:
        some = ", ".join(map(str, table[trial].unique()[:4]))
        unknown.append(f"{name}: its {trial} are none of the trials here ({some}); it was left out")
        return rows
    reasons.append(
        f"labels {', '.join(free(tidy(c)) for c in labels)}: columns of {name}, joined by {person} and {trial} "
        f"({len(met)} of {len(table)} rows)"
    )
    return out


def traits_of(
    name: str, look: Look, people: list[str], reasons: list[str], unknown: list[str]
) -> dict[str, dict[str, str]]:
    """Return traits a person of a table with one row a person: questionnaires scored, and columns of numbers."""
    table = look.table
    person = None if table is None else persons_column(table, people)
    if table is None or person is None:
        return {}
    who = naming(people)
    if table[person].map(who).duplicated().any():
        return {}
    found = recognise([str(c) for c in table.columns])
    columns: dict[str, np.ndarray] = {}
    used = {person}
    for kind, items in found.items():
        try:
            scores, notes = score(table, kind, items)
        except InsulaError as error:
            unknown.append(f"{name}: {error}")
            continue
        used.update(items)
        columns |= scores
        reasons += [f"traits {', '.join(scores)}: {name}, {note}" for note in notes]
    plain = [str(c) for c in table.columns if str(c) not in used and np.isfinite(to_numbers(table[c])).any()]
    for column in plain:
        columns.setdefault(tidy(column), to_numbers(table[column]))
    if plain:
        reasons.append(f"traits {', '.join(tidy(c) for c in plain)}: columns of numbers of {name}, one row a person")
    texts = [
        str(c) for c in table.columns if str(c) not in used and str(c) not in plain and not is_empty(table[c]).all()
    ]
    if texts:
        unknown.append(f"{name}: {', '.join(texts)} is text; only numbers are traits. Code it as numbers to use it.")
    by_key = {who(v): i for i, v in enumerate(table[person])}
    return {
        p: {c: f"{v[by_key[who(p)]]:g}" for c, v in columns.items() if np.isfinite(v[by_key[who(p)]])}
        for p in people
        if who(p) in by_key
    }
