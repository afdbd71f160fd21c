"""Audit of predictions: what a results folder, or somebody's table of predictions, may be said to show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from insula.data.formats.tables import to_numbers
from insula.errors import InputError
from insula.evaluation.audit_table import as_texts, cut_trials, read_predictions, with_chances
from insula.evaluation.audit_words import EXPLAINED
from insula.evaluation.results import Result
from insula.evaluation.scores import mean_over_people, within_scores
from insula.evaluation.system import System
from insula.evaluation.timing import Clock, boundaries_are_labels, clock_of, length_tells
from insula.learning.metrics import METRICS
from insula.notebook import counted
from insula.protocols.grouping import stratified_folds
from insula.types import DoubleArray, IntArray

_MANY = 12
_TELLS = 0.9


@dataclass(frozen=True)
class RunAudit:
    """What an audit of predictions found: kinds of `EXPLAINED` with what was seen, and the verdict of each row."""

    clock: Clock | None
    found: tuple[tuple[str, str], ...]
    verdicts: tuple[tuple[str, str], ...]
    result: Result

    @property
    def exit_code(self) -> int:
        return 1 if self.result.leaky else 0

    @property
    def text(self) -> str:
        """The report in plain lines."""
        lines = [f"times run on the {self.clock}'s clock" if self.clock else "no times"]
        lines += [f"{title}: {sentence}." for title, sentence in self.verdicts]
        for kind, seen in self.found:
            lines += [f"{kind}: {seen}. {' '.join(EXPLAINED[kind])}"]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "clock": self.clock,
            "found": [{"kind": k, "seen": s, "explained": list(EXPLAINED[k])} for k, s in self.found],
            "verdicts": dict(self.verdicts),
            "table": self.result.table().to_dict("records"),
            "exit_code": self.exit_code,
        }


def audit_result(folder: str | Path) -> RunAudit:
    """Audit a folder that `insula evaluate --out` wrote."""
    return audit_of(Result.load(folder), "session")


def audit_predictions(path: str | Path, clock: Clock | None = None) -> RunAudit:
    """Audit a CSV of predictions: columns person, trial, true and predicted, and time (or start and stop, seconds).

    Names that are usual for these are understood (`insula.evaluation.audit_table.NAMES`). Session, stimulus, fold and
    ``p_<class>`` columns are used where they are there. ``clock`` says whether times count from the session's or each
    trial's beginning; None finds it out. The signal-free opponents are made from the times and the true labels of other
    people (of other trials with one person).
    """
    table, timed = read_predictions(path)
    folded = bool((table["fold"] != "not told").all())
    if "stop_s" not in table:
        step = table.sort_values("start_s").groupby(["subject", "trial"])["start_s"].diff()
        table["stop_s"] = table["start_s"] + float(step[step > 0].median() if (step > 0).any() else 1.0)
    found = (clock or clock_of(table)) if timed else None
    if "elapsed_s" not in table:
        table["elapsed_s"] = table["stop_s"] - table.groupby(["subject", "session"])["start_s"].transform("min")
    if found != "session":
        table["elapsed_s"] = np.nan
    cut = cut_trials(table) if folded else []
    more = []
    if cut:
        many = f"{counted(len(cut), 'trial')} stand in several folds, {cut[0]} for instance"
        more.append(("leaky folds", many))
    if not folded:
        more.append(("no folds", "the table has no column fold"))
    if not timed:
        more.append(("no times", "the table has no column time"))
    return audit_of(_result(table, found, bool(cut)), found, tuple(more))


def _result(table: pd.DataFrame, clock: Clock | None, leaky: bool) -> Result:
    numbers = pd.Series(to_numbers(table["y_true"]), table.index)
    continuous = bool(numbers.notna().all()) and numbers.nunique() > _MANY
    classes: tuple[str, ...] = ()
    if continuous:
        table["y_true"], table["y_pred"] = numbers, to_numbers(table["y_pred"])
    else:
        table["y_true"], table["y_pred"] = as_texts(table["y_true"]), as_texts(table["y_pred"])
        classes = tuple(sorted(set(table["y_true"]) | set(table["y_pred"])))
        if len(classes) < 2:
            raise InputError(f"predictions of one class only ({classes[0]}); expected two or more. Check the columns.")
        table = with_chances(table, classes)
    columns = ["subject", "session", "trial", "stimulus", "fold", "start_s", "stop_s", "elapsed_s", "y_true", "y_pred"]
    own = table[columns + [f"p_{c}" for c in classes]]
    systems = [System("predictions", "These predictions", "model", "trial", leaky=leaky)]
    frames = [own.assign(system="predictions")]
    inside = table["stop_s"] - table.groupby(["subject", "session", "trial"])["start_s"].transform("min")
    both = inside.to_numpy(np.float64)[:, None]
    if clock == "session":
        both = np.column_stack([table["elapsed_s"], inside])
    for name, title, values in (
        ("elapsed_trial", "Elapsed time and time in trial", None if clock is None else both),
        ("elapsed", "Elapsed time", both[:, :1] if clock == "session" else None),
    ):
        if values is not None:
            systems.append(System(name, title, "baseline", "session"))
            frames.append(_clock_row(own, classes, np.asarray(values)).assign(system=name))
    protocol = {"name": "not told", "leaky": leaky, "folds": table["fold"].nunique(), "notes": []}
    shared = None if clock == "session" else False
    every = pd.concat(frames, ignore_index=True)
    return Result("label", classes, protocol, tuple(systems), every, shared_schedule=shared)


def _clock_row(own: pd.DataFrame, classes: tuple[str, ...], columns: DoubleArray) -> pd.DataFrame:
    """A forest on times, trained on other people's true labels (on other trials of one person)."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    one = own["subject"].nunique() == 1
    unit = own.groupby(["subject", "session", "trial"] if one else ["subject"], sort=False).ngroup().to_numpy(np.int64)
    fold = stratified_folds(_unit_labels(own, unit, one), min(5, int(unit.max()) + 1), np.random.default_rng(0))[unit]
    out = own.copy()
    y = own["y_true"].map({c: i for i, c in enumerate(classes)} if classes else float).to_numpy()
    for k in np.unique(fold):
        train, test = fold != k, fold == k
        shape: dict[str, Any] = {"n_estimators": 100, "min_samples_leaf": 5, "random_state": 0}
        if not classes:
            made = RandomForestRegressor(**shape).fit(columns[train], y[train])
            out.loc[test, "y_pred"] = made.predict(columns[test])
            continue
        made = RandomForestClassifier(class_weight="balanced", **shape).fit(columns[train], y[train])
        chances = np.zeros((int(test.sum()), len(classes)))
        chances[:, made.classes_] = made.predict_proba(columns[test])
        out.loc[test, [f"p_{c}" for c in classes]] = chances
        out.loc[test, "y_pred"] = np.array(classes, object)[chances.argmax(1)]
    return out


def _unit_labels(own: pd.DataFrame, unit: Any, one: bool) -> IntArray:
    first = np.unique(unit, return_index=True)[1]
    if not one:
        return np.zeros(first.size, np.int64)
    return np.asarray(np.unique(own["y_true"].astype(str).to_numpy()[first], return_inverse=True)[1], np.int64)


def audit_of(result: Result, clock: Clock | None, more: tuple[tuple[str, str], ...] = ()) -> RunAudit:
    """Audit a result whose times run on this clock (None: it has none); ``more`` was found before."""
    first = result.systems[0]
    rows = result.of(first.name).rename(columns={"y_true": "label"})
    found = list(more)
    if result.leaky and not more:
        found.append(("leaky protocol", f"{result.protocol.get('name')} puts windows of one trial on both sides"))
    tells = length_tells(rows) if result.classes else float("nan")
    if tells >= _TELLS:
        found.append(("label-sorted batches", f"a trial's length alone tells its label, {tells:.2f} balanced accuracy"))
    if clock == "session" and result.classes and boundaries_are_labels(rows):
        found.append(("boundaries defined by labels", "every trial ends where the label changes"))
    if clock == "trial":
        found.append(("times on the trial's clock", "every trial begins anew, so that no session time is known"))
    clocks = list(map(str, result.protocol.get("clocks", ())))
    if clocks:
        found.append(("clock", ", ".join(clocks)))
    swap = result.contrast(first.name)
    if swap is not None and result.shared_schedule:
        found.append(("shared schedule", f"perfect labels would have a contrast of {swap.ceiling:.3f}"))
    used = [s.title for s in result.systems if s.transductive]
    if used:
        found.append(("transductive normaliser", ", ".join(used)))
    scaled = {s.normaliser for s in result.systems if s.kind != "baseline" and s.normaliser != "none"}
    if len(scaled) > 1:
        found.append(("unequal preprocessing", f"rows are scaled by {', '.join(sorted(scaled))}"))
    late = [s.title for s in result.systems if s.converged is False]
    if late:
        found.append(("not converged", ", ".join(late)))
    bare = [f"{s.title} ({s.scaling})" for s in result.systems if s.fallbacks]
    if bare:
        found.append(("fallbacks", "; ".join(bare)))
    verdicts = tuple((s.title, _said(result, s, clock)) for s in result.systems)
    return RunAudit(clock, tuple(found), verdicts, result)


def _said(result: Result, one: System, clock: Clock | None) -> str:
    score = within_scores(mean_over_people(result.of(one.name), result.main_metric), result.continuous)
    swap = result.contrast(one.name)
    if one.kind == "baseline":
        return f"signal-free row, {score.mean:.3f}" + (f", contrast {swap.mean:+.3f}" if swap is not None else "")
    sentence = result.verdict(one.name).sentence
    if clock != "session" and swap is None and score.people > 1:
        marks = f"{one.marks}: " if one.marks else ""
        sentence = f"{marks}cannot be tested: no session times, so nobody can tell a feeling from the time"
    chance = "" if result.continuous else f", chance {result.chance:.3f}"
    name = METRICS[result.main_metric].title
    return f"{name} {score.mean:.3f} [{score.lo:.3f}, {score.hi:.3f}]{chance}; {sentence}"
