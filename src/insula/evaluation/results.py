"""Result: every prediction of an evaluation, where it came from, and the table of scores."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec
import pandas as pd

from insula.errors import DataError, InputError, SchemaError, unknown_name
from insula.evaluation.adapting import POPULATION
from insula.evaluation.contrast import Contrast, contrast, lead
from insula.evaluation.scores import (
    Interval,
    Paired,
    exchanged_trials,
    mean_over_people,
    paired,
    per_person,
    pooled,
    to_trials,
    within_scores,
)
from insula.evaluation.system import STIMULI, WITH_PRIOR, System
from insula.evaluation.verdict import Evidence, Opponent, Verdict, decide
from insula.evaluation.writing import Pending, jsonable, sha256_of
from insula.files import read_json, understood
from insula.learning.metrics import metrics_for
from insula.notebook import facts_html
from insula.protocols.grouping import exchangeable_labellings
from insula.protocols.schedule import shares_schedule
from insula.windows.mixing import is_mixed
from insula.windows.targets import is_ordered

VERSION = 1
"""Version of the schema below; a reader of another version refuses.

``result.json`` is one object:

- ``version`` (int), ``target`` (text), ``classes`` (list of text, empty for a continuous target);
- ``protocol`` {name, leaky, pooled, folds, notes, clocks (features that rise or fall with time in nearly every
  session)};
- ``shared_schedule`` (whether people go through the labels at the same times);
- ``config`` (object), ``provenance`` {versions, seed, data_hash, command, date, device, threads, seconds};
- ``systems``: a list of {name, title, kind, scope, normaliser, leaky, transductive, parameters, seconds, notes, role,
  steps, loss, converged, fallbacks, readout_alone, fits, prior};
- ``nulls``: system name to {score, p, floor, shuffles, mean, lo, hi, chance, at_chance, enough, labellings};
- ``analyses`` (object): what explain wrote;
- ``predictions`` {file, sha256, rows}.

``predictions.parquet`` holds a row a window and system: system, fold, subject, session, trial, stimulus, start_s,
stop_s, elapsed_s, y_true, y_pred and, for classes, one p_<class> each; of mixed targets one t_<class> each, the true
share. Labels are text, continuous values are numbers. Numbers that are not finite are null in the JSON.
"""

KEYS = (
    "system",
    "fold",
    "subject",
    "session",
    "trial",
    "stimulus",
    "start_s",
    "stop_s",
    "elapsed_s",
    "y_true",
    "y_pred",
)
"""Columns of every prediction table; p_<class> columns follow."""


@dataclass(frozen=True, repr=False)
class Result:
    """Every prediction of one evaluation with its provenance; see `VERSION` for what is stored.

    Values of ``protocol``, ``config``, ``provenance``, ``nulls`` and ``analyses`` are turned into plain JSON values;
    ``shared_schedule`` is found from the predictions unless given. Further columns of ``predictions`` are kept.
    """

    target: str
    classes: tuple[str, ...]
    protocol: Mapping[str, Any]
    systems: tuple[System, ...]
    predictions: pd.DataFrame
    config: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    nulls: Mapping[str, Any] = field(default_factory=dict)
    analyses: Mapping[str, Any] = field(default_factory=dict)
    shared_schedule: bool | None = None
    version: int = VERSION

    def __post_init__(self) -> None:
        wanted = [*KEYS, *(f"p_{c}" for c in self.classes)]
        missing = [c for c in wanted if c not in self.predictions]
        if missing:
            raise InputError(
                f"predictions without columns {', '.join(missing)}; expected {', '.join(wanted)}. Add them."
            )
        names, predicted = [s.name for s in self.systems], sorted(set(self.predictions["system"]))
        if sorted(names) != predicted:
            raise InputError(
                f"systems {', '.join(names)} against predictions of {', '.join(predicted)}; "
                "expected each system once, with predictions. Describe every system."
            )
        ordered = wanted + [c for c in self.predictions.columns if c not in wanted]
        object.__setattr__(self, "predictions", self.predictions[ordered].reset_index(drop=True))
        for name in ("protocol", "config", "provenance", "nulls", "analyses"):
            object.__setattr__(self, name, jsonable(getattr(self, name)))
        if self.shared_schedule is None and self.systems:
            object.__setattr__(self, "shared_schedule", self._shares_schedule())

    # -- reading ---------------------------------------------------------------------------------------------------

    @property
    def continuous(self) -> bool:
        return not self.classes

    @property
    def leaky(self) -> bool:
        return bool(self.protocol.get("leaky"))

    @property
    def main_metric(self) -> str:
        return metrics_for(self.continuous)[0]

    @property
    def chance(self) -> float:
        """Score of guessing: one over the number of classes (balanced accuracy), 0 for CCC."""
        return 1 / len(self.classes) if self.classes else 0.0

    def system(self, name: str) -> System:
        """Find a system by name."""
        for one in self.systems:
            if one.name == name:
                return one
        raise unknown_name("system", name, [s.name for s in self.systems])

    def of(self, name: str, per: Literal["window", "trial"] = "window") -> pd.DataFrame:
        """Predictions of one system, a row a window or a trial."""
        self.system(name)
        rows = self.predictions[self.predictions["system"] == name].reset_index(drop=True)
        return to_trials(rows) if per == "trial" else rows

    def people(self, metric: str | None = None) -> pd.DataFrame:
        """Score of each person (rows) and system (columns)."""
        return pd.DataFrame({s.name: per_person(self.of(s.name), metric or self.main_metric) for s in self.systems})

    @property
    def experiment(self) -> Mapping[str, Any]:
        """What was asked for, as its configuration keeps it; SchemaError where it has none."""
        found = self.config.get("experiment")
        if not isinstance(found, Mapping) or not isinstance(found.get("data"), Mapping) or "name" not in found["data"]:
            raise SchemaError("a result without its experiment; expected what insula evaluate wrote. Evaluate again.")
        return found

    @cached_property
    def contrasts(self) -> Mapping[str, Contrast | None]:
        """Person-swap contrast of each system; None where no two people can be compared."""
        return {s.name: contrast(self.of(s.name)) for s in self.systems}

    def contrast(self, name: str) -> Contrast | None:
        """Person-swap contrast of a system; None where no two people can be compared."""
        return self.contrasts[self.system(name).name]

    def compare(self, a: str, b: str, metric: str | None = None) -> Paired:
        """Difference of two systems over people."""
        return paired(self.of(a), self.of(b), metric or self.main_metric)

    @cached_property
    def verdicts(self) -> Mapping[str, Verdict]:
        """What each system may be said to show (see `insula.evaluation.verdict`)."""
        return {s.name: decide(self._evidence(s)) for s in self.systems}

    def verdict(self, name: str) -> Verdict:
        """What a system may be said to show."""
        return self.verdicts[self.system(name).name]

    @property
    def declared(self) -> tuple[str, str] | None:
        """The one comparison named before the figures were seen: (system, against), where there is one."""
        found: Any = self.config.get("declared")
        names = {s.name for s in self.systems}
        return (str(found[0]), str(found[1])) if found and set(found) <= names else None

    @property
    def modelled(self) -> str:
        """Name of the row that the fold models of the first row are, and that analyses of them look at.

        The first row itself, but for what was done to its models' answers: its twin without other people's prior, or
        under a protocol that calibrates the population model before anybody's labels.
        """
        first, names = self.systems[0], {s.name for s in self.systems}
        return next(n for n in (f"{first.name}_{POPULATION}", first.bare, first.name) if n in names)

    def opponent(self, name: str) -> System | None:
        """The signal-free row that a system must beat: with the time since a reset where the system has resets.

        A system that has other people's prior must beat the row that has it too: people may share a timetable.
        """
        one = self.system(name)
        wanted = ("elapsed",) if one.scope == "session" else ("elapsed_trial", "elapsed")
        lent = tuple(f"{w}{WITH_PRIOR}" for w in wanted) if one.prior else ()
        return next((s for w in (*lent, *wanted) for s in self.systems if s.name == w), None)

    def _evidence(self, one: System) -> Evidence:
        rows = self.of(one.name)
        people = rows["subject"].nunique()
        marks = one.marks if not self.leaky or one.leaky else ", ".join(filter(None, ("leaky", one.marks)))
        score = within_scores(mean_over_people(rows, self.main_metric), self.continuous)
        if one.kind == "baseline":
            return Evidence(score, self.chance, people, 0, 0, signal_free=True)
        single = people == 1
        other, declared = self.opponent(one.name), self.declared
        return Evidence(
            score=score,
            chance=self.chance,
            people=people,
            trials=len(rows[["session", "trial"]].drop_duplicates()) if single else 0,
            labellings=exchangeable_labellings(self._labelled(rows)) if single else 0,
            marks=marks,
            contrast=self.contrast(one.name),
            own_p=exchanged_trials(rows, self.main_metric) if single else float("nan"),
            opponent=None if other is None else Opponent(other.title, self._lead(one.name, other.name)),
            null=self.nulls.get(one.name),
            known_stimuli=self._known_stimuli(one),
            declared=Opponent(self.system(declared[1]).title, _interval(self.compare(*declared)))
            if declared and declared[0] == one.name
            else None,
        )

    def _known_stimuli(self, one: System) -> float:
        """Score of knowing the stimulus alone, from what a system could learn it from; NaN where it could not."""
        names = (f"{STIMULI}{WITH_PRIOR}",) if one.prior else (STIMULI,)
        found = next((s.name for s in self.systems if s.name in names), None)
        return float("nan") if found is None else float(per_person(self.of(found), self.main_metric).mean())

    def _lead(self, name: str, other: str) -> Interval:
        """How far a system is above another: in contrast where people can be compared, else in score."""
        one, two = self.contrasts[name], self.contrasts[other]
        return lead(one, two) if one is not None and two is not None else _interval(self.compare(name, other))

    def _labelled(self, rows: pd.DataFrame) -> pd.DataFrame:
        code = {name: k for k, name in enumerate(self.classes)}
        return rows.assign(y=rows["y_true"].map(code) if code else rows["y_true"].astype(float))

    def table(self) -> pd.DataFrame:
        """One row a system: scores as means over people with intervals, marks, contrast, null test and verdict.

        Columns ``<score>``, ``<score>_lo`` and ``<score>_hi`` for the main score per window and per trial
        (``trial_<score>``) and the contrast (with its ceiling and p); other scores without interval;
        ``pooled_<score>`` mixes people. ``unit`` says over what the interval is.
        """
        return pd.DataFrame(self._rows)

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        return [self._row(s) for s in self.systems]

    def _row(self, one: System) -> dict[str, Any]:
        windows, trials = self.of(one.name), self.of(one.name, "trial")
        main = self.main_metric
        row: dict[str, Any] = {
            f.name: getattr(one, f.name) for f in fields(one) if f.name not in ("notes", "fallbacks")
        }
        row |= {"budget": one.budget, "scaling": one.scaling}
        row |= {"marks": one.marks, "windows": len(windows), "trials": len(trials)}
        for prefix, rows in (("", windows), ("trial_", trials)):
            found = mean_over_people(rows, main)
            row |= {f"{prefix}{main}": found.mean, f"{prefix}{main}_lo": found.lo, f"{prefix}{main}_hi": found.hi}
            if not prefix:
                row |= {"people": found.people, "unit": found.unit}
        ordered = len(self.classes) > 2 and is_ordered(self.classes)
        others = metrics_for(self.continuous, ordered, is_mixed(self.target))[1:]
        row |= {name: float(per_person(windows, name).mean()) for name in others}
        row[f"pooled_{main}"] = pooled(windows, main)
        swapped, nan = self.contrast(one.name), float("nan")
        for name in ("mean", "lo", "hi", "ceiling", "p"):
            key = "contrast" if name == "mean" else f"contrast_{name}"
            row[key] = getattr(swapped, name) if swapped is not None else nan
        null = self.nulls.get(one.name) or {}
        row["null_p"] = float("nan") if null.get("p") is None else null["p"]
        row |= {"verdict": self.verdict(one.name).text, "why": self.verdict(one.name).why}
        return row

    def __repr__(self) -> str:
        people = self.predictions["subject"].nunique()
        return f"Result({self.target}, {self.protocol.get('name')}, {people} people: {self._scores()[0][1]})"

    def _repr_html_(self) -> str:
        return facts_html(f"Result: {self.target}, {self.protocol.get('name')}", self._scores())

    def _scores(self) -> list[tuple[str, str]]:
        found = [(s, mean_over_people(self.of(s.name), self.main_metric)) for s in self.systems]
        return [(s.title + (f" ({s.marks})" if s.marks else ""), one.text) for s, one in found]

    def _shares_schedule(self) -> bool:
        return shares_schedule(self._labelled(self.of(self.systems[0].name)))

    # -- keeping ---------------------------------------------------------------------------------------------------

    def with_analyses(self, **analyses: Any) -> Result:
        """Return the result with more analyses beside those it has."""
        more = replace(self, analyses={**self.analyses, **analyses})
        vars(more).update({k: v for k, v in vars(self).items() if k not in vars(more)})  # worked out, and the same
        return more

    def save(self, folder: str | Path) -> Path:
        """Write ``predictions.parquet`` and then ``result.json`` into a folder, each whole or not at all.

        The JSON holds the hash of the predictions it belongs to, so a result whose writing was cut between the two is
        refused by `load` instead of being read as something it is not.
        """
        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise DataError(f"{folder} is a file; expected a folder to write the result to. Choose another path.")
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".result-*.partial"):
            left.unlink(missing_ok=True)
        with Pending(folder) as pending:
            table = pending.write(lambda p: self.predictions.to_parquet(p, index=False))
            document = self._document(sha256_of(table), len(self.predictions))
            text = json.dumps(document, indent=1, allow_nan=False)
            description = pending.write(lambda p: p.write_text(text, encoding="utf-8"))
            os.replace(table, folder / "predictions.parquet")
            os.replace(description, folder / "result.json")
        return folder

    def _document(self, sha256: str, rows: int) -> dict[str, Any]:
        document: dict[str, Any] = {"version": self.version}
        for one in fields(self):
            if one.name not in ("version", "predictions"):
                document[one.name] = getattr(self, one.name)
        document["systems"] = [jsonable(asdict(s)) for s in self.systems]
        document["predictions"] = {"file": "predictions.parquet", "sha256": sha256, "rows": rows}
        return document

    @classmethod
    def load(cls, folder: str | Path) -> Result:
        """Read what `save` wrote; DataError or SchemaError say what is wrong with it."""
        path = Path(folder) / "result.json"
        if not path.is_file():
            raise DataError(f"no result in {folder}; expected a folder with result.json. Run `insula evaluate --out`.")
        wanted = "what Result.save wrote. Evaluate again"
        if (version := read_json(path, _Versioned, wanted).version) != VERSION:
            raise SchemaError(
                f"result version {version!r} in {path}; expected {VERSION}. Use the insula that wrote it."
            )
        found = read_json(path, _Document, wanted)
        if not found.systems or any(not s.name or {"/", "\\"} & set(s.name) or s.name == ".." for s in found.systems):
            raise SchemaError(
                f"rows of {path} without names that a folder can have; expected {wanted}. Evaluate again."
            )
        table = path.parent / "predictions.parquet"
        if not table.is_file() or sha256_of(table) != found.predictions.sha256:
            raise DataError(
                f"{table} is missing or not the one that {path} describes; expected both from one save. Evaluate again."
            )
        with understood(table, "the predictions that Result.save wrote"):
            known = {name: getattr(found, name) for name in found.__struct_fields__ if name != "predictions"}
            return cls(predictions=pd.read_parquet(table), **known)


class _Versioned(msgspec.Struct, frozen=True):
    """What is read of a document before anything else."""

    version: int


class _Stored(msgspec.Struct, frozen=True):
    """Which table of predictions a document belongs to."""

    sha256: str
    file: str = ""
    rows: int = 0


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``result.json`` holds, as `VERSION` says."""

    version: int
    target: str
    classes: tuple[str, ...]
    protocol: dict[str, Any]
    systems: tuple[System, ...]
    predictions: _Stored
    config: dict[str, Any] = {}
    provenance: dict[str, Any] = {}
    nulls: dict[str, dict[str, Any]] = {}
    analyses: dict[str, Any] = {}
    shared_schedule: bool | None = None


def _interval(found: Paired) -> Interval:
    return Interval(found.mean, found.lo, found.hi, found.people, found.unit)
