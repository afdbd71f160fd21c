"""Remove a person from what insula wrote: results, models' bookkeeping, grids of cells, tables and stores."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from insula.errors import InputError, unknown_name
from insula.evaluation.kept import FOLDS
from insula.evaluation.results import Result
from insula.explain import ANALYSES
from insula.files import STORY, is_person_folder
from insula.grid.run import locked
from insula.learning.personal.personal import PERSONAL
from insula.learning.saving import digest, parts_of
from insula.privacy.cleaning import clean_file, clean_table, remove, remove_leftover, renewed, write_text
from insula.privacy.names import Name
from insula.privacy.retraining import MARK, learned_from, retraining_note, train_each_again, whose
from insula.privacy.survey import Found, closed, levels_in, model_people, named, read_json, survey, traces
from insula.protocols.protocols import PROTOCOLS
from insula.report import write

_BEFORE = "computed before a person was removed"
_LEDGER = ("ledger.html", "ledger.md")


@dataclass(frozen=True)
class Step:
    """One change: ``files`` are rewritten or removed by it, ``whole`` says that the folder ``path`` goes."""

    path: Path
    what: str
    act: Callable[[], object] = field(compare=False, repr=False)
    files: frozenset[Path] = frozenset()
    whole: bool = False

    def covers(self, path: Path) -> bool:
        return path in self.files or (self.whole and (path == self.path or self.path in path.parents))


@dataclass(frozen=True)
class Forgotten:
    """What was done (or would be, in a dry run), which models to train again, and what could not be cleaned.

    ``ordinary`` says that the name is a number or a common word, which was looked for only where a person is meant.
    """

    person: str
    ordinary: bool
    done: tuple[tuple[Path, str], ...]
    retrain: tuple[tuple[Path, str], ...]
    leftovers: tuple[tuple[Path, str], ...]
    closed: tuple[tuple[Path, str], ...] = ()
    dry_run: bool = False


def forget(person: str, folders: Sequence[str | Path], *, dry_run: bool = False, retrain: bool = False) -> Forgotten:
    """Remove a person from everything insula wrote under ``folders``, then look through every file for the name.

    Each result, model and table is replaced whole or not at all; a second run goes on where a first one was stopped.
    With ``retrain`` the models that had learned from the person are trained again on the others. ``closed`` of the
    answer lists files that could not be looked into.

    Raises
    ------
    InputError : no such folder, or nobody of that name in them.
    DataError : a store or result that insula did not write; nothing has been changed then.
    """
    roots = _roots(folders)
    found = survey(roots)
    name = Name(person, found.people, found.words)
    if name.name not in found.people and not any(named(root, name) for root in roots):
        raise unknown_name("person", person, found.people)
    steps, again = _plan(found, name)
    if not dry_run:
        with ExitStack() as stack:
            for grid in found.grids:
                stack.enter_context(locked(grid))
            for step in steps:
                step.act()
            if retrain:
                again = train_each_again(again, name)
    left = [
        (path, where)
        for root in roots
        for path, where in traces(root, name)
        if not (dry_run and any(s.covers(path) for s in steps))
    ]
    done = tuple((s.path, s.what) for s in steps)
    shut = tuple(dict.fromkeys(one for root in roots for one in closed(root)))
    return Forgotten(name.name, name.ordinary, done, tuple(again), tuple(dict.fromkeys(left)), shut, dry_run)


def _roots(folders: Sequence[str | Path]) -> list[Path]:
    found: list[Path] = []
    for folder in folders:
        path = Path(folder).resolve()
        if not path.is_dir():
            raise InputError(f"{folder}; expected a folder that insula wrote, or one that holds such. Correct --in.")
        found.append(path)
    if not found:
        raise InputError("no folder to look in; expected one or more. Add --in DIR.")
    return [p for p in dict.fromkeys(found) if not any(other in p.parents for other in found)]


def _plan(found: Found, name: Name) -> tuple[list[Step], list[tuple[Path, str]]]:
    """Models first, since what they were trained on is known from the results around them."""
    steps: list[Step] = []
    retrain: list[tuple[Path, str]] = []
    for folder in found.models:
        trained = _trained(folder, name, found)
        if _only(folder, name, found):
            goes = folder.parent if (folder.parent / PERSONAL).is_file() else folder
            what = "model removed: " + (
                "it is the person's own" if whose(folder) else "nobody else it was trained on is left"
            )
            steps.append(Step(goes, what, partial(remove, goes), whole=True))
        elif trained or named(folder, name):
            files = frozenset(
                one / f for one in (folder, *parts_of(folder)) for f in ("estimator.json", STORY, "model.json")
            )
            what = "the person removed from the model's bookkeeping"
            steps.append(Step(folder, what, partial(_clean_model, folder, name, trained), files))
        if trained and not _only(folder, name, found):
            retrain.append((folder, trained))
        elif not trained and retraining_note(folder):
            retrain.append((folder, retraining_note(folder)))
    for path in found.stores:
        if name.name in found.people_of[path]:
            parts = _samples(path, name)
            what = f"{sum(n for _, n in parts)} trials removed from the store: " + ", ".join(
                where for where, _ in parts
            )
            steps.append(Step(path, what, partial(_clean_store, path, name), whole=True))
    for path in found.tables:
        if name.name in found.people_of[path]:
            steps.append(Step(path, "the person's rows removed", partial(clean_table, path, name), frozenset({path})))
    for path in found.unfinished:
        if name.name not in found.people_of.get(path, {name.name}):
            continue
        steps.append(
            Step(path, "removed: left by a save or run that was stopped", partial(remove_leftover, path), whole=True)
        )
    touched: set[Path] = set()
    for folder in found.results:
        if name.name in found.people_of[folder] or any(named(folder / f, name) for f in _FILES):
            steps.append(_result(folder, name))
            touched.add(folder)
    for grid in found.grids:
        changed = any(grid in folder.parents for folder in touched)
        steps += [_ledger(grid / page) for page in _LEDGER if changed and (grid / page).is_file()]
        rest = [grid / "workers.log", *sorted(grid.glob("ended/*.json")), *sorted(grid.glob("cells/*/cell.json"))]
        steps += [
            Step(path, "the name removed", partial(clean_file, path, name), frozenset({path}))
            for path in rest
            if path.parent not in touched and path.is_file() and named(path, name)
        ]
    return steps, retrain


# -- results -----------------------------------------------------------------------------------------------------------

_FILES = ("result.json", "predictions.parquet", "report.html", "report.json", "cell.json")


def _result(folder: Path, name: Name) -> Step:
    result = Result.load(folder)
    files = frozenset(folder / f for f in _FILES)
    rows = int(result.predictions["subject"].map(name.is_).sum())
    stays = result.predictions.loc[~result.predictions["subject"].map(name.is_), "subject"].nunique()
    known = PROTOCOLS.get(str(result.protocol.get("name")))
    needed = 1 if known is None or known.personal else 2
    if stays < needed:
        why = "nobody is left" if not stays else f"{stays} person is left, {result.protocol['name']} needs {needed}"
        what = f"result removed: {why}"
        return Step(folder, what, partial(_remove_result, folder), files | {folder / "model"}, stays == 0)
    page = (folder / "report.html").is_file()
    what = f"{rows:,} of {len(result.predictions):,} predictions removed, scores computed anew"
    return Step(folder, what + (", page written again" if page else ""), partial(_clean_result, folder, name), files)


def _clean_result(folder: Path, name: Name) -> None:
    result = without(Result.load(folder), name)
    with renewed(folder) as work:
        result.save(work)
        if (work / "report.html").is_file():
            write(result, work / "report.html")
        if (work / "cell.json").is_file():
            clean_file(work / "cell.json", name)


def without(result: Result, name: Name) -> Result:
    """Return a result without a person; what needs more than the predictions of the others is kept and marked."""
    mine = result.predictions["subject"].map(name.is_)
    rows = result.predictions[~mine].copy()
    for column in rows.columns:
        if column not in ("system", "y_true", "y_pred") and pd.api.types.is_string_dtype(rows[column]):
            texts = {t: name.without(t) for t in rows[column].dropna().unique() if isinstance(t, str)}
            rows[column] = [texts.get(v, v) for v in rows[column]]
    analyses = dict(name.cleaned(result.analyses) or {})
    stale = [k for k, v in analyses.items() if isinstance(v, dict) and _stale(k)]
    for key in stale:
        analyses[key] = {**analyses[key], "note": "; ".join(filter(None, [analyses[key].get("note"), _BEFORE]))}
    nulls = {k: {**v, "text": f"{v.get('text', '')} ({_BEFORE})".strip()} for k, v in result.nulls.items()}
    systems = tuple(
        replace(s, notes=tuple(name.cleaned({"notes": list(s.notes)})["notes"])) for s in result.systems
    )  # fmt: skip
    protocol = name.cleaned(result.protocol)
    protocol["notes"] = [*protocol.get("notes", ()), _said(result, [*stale, *(["null test"] if nulls else [])])]
    provenance = name.cleaned(result.provenance)
    provenance["people_removed"] = int(provenance.get("people_removed", 0)) + 1
    cleaned = Result(
        target=result.target,
        classes=result.classes,
        protocol=protocol,
        systems=systems,
        predictions=rows,
        config=name.cleaned(result.config),
        provenance=provenance,
        nulls=nulls,
        analyses=analyses,
        version=result.version,
    )
    return cleaned.with_analyses(**_renewed_analyses(result, cleaned))


def _stale(name: str) -> bool:
    """Whether the figures of an analysis come from people and are not made anew without one."""
    known = ANALYSES.get(name)
    return known is None or (known.people and known.renew is None)


def _renewed_analyses(before: Result, after: Result) -> dict[str, Any]:
    made = {}
    for one in ANALYSES.values():
        old = one.read(after) if one.renew is not None else None
        if old is not None and one.renew is not None:
            made[one.name] = one.write(one.renew(old, before, after))
    return made


def _said(result: Result, stale: Sequence[str]) -> str:
    """One note for the page: what is new, what is old, and who had learned from the person."""
    text = (
        f"a person was removed on {datetime.now(UTC).date()}; scores, intervals and contrasts are those of the others"
    )
    if stale:
        text += f"; {_BEFORE}: {', '.join(s.replace('_', ' ') for s in stale)}"
    known = PROTOCOLS.get(str(result.protocol.get("name")))
    return text if known is not None and known.personal else f"{text}; the models had learned from that person"


def _remove_result(folder: Path) -> None:
    """Remove a result's files and models; the folder too unless it holds something else."""
    if (folder / "cell.json").is_file():
        remove(folder)
        return
    for file in _FILES[::-1]:  # result.json last: what is left of a crash is still known for a result
        (folder / file).unlink(missing_ok=True)
    for models in (folder / "model", folder / FOLDS):
        if models.is_dir():
            remove(models)
    if not any(folder.iterdir()):
        folder.rmdir()


def _ledger(page: Path) -> Step:
    return Step(page, "removed: its figures held the person; write it again with `insula ledger`", page.unlink,
                frozenset({page}))  # fmt: skip


# -- models ------------------------------------------------------------------------------------------------------------


def _trained(folder: Path, name: Name, found: Found) -> str:
    """Say why a model must be trained again without the person; empty where it never saw them."""
    people = model_people(folder)
    if people:
        return _how(folder, name) if name.name in people else ""
    around = found.people_of.get(folder.parent)
    if folder.name == "model" and around is not None:
        return "it was trained on the person's recordings" if name.name in around else ""
    if folder.parent.name == "model" and folder.parent.parent in found.people_of:
        return ""  # the personal model of somebody else
    return "it may have been trained on the person's recordings: its bookkeeping names nobody"


def _how(folder: Path, name: Name) -> str:
    """Whether a model learned from the person itself, or by what other people or models lent it."""
    story = read_json(folder / STORY)
    own = learned_from(story) if isinstance(story, dict) else []
    if whose(folder) and not name.is_(whose(folder)):
        return "others whom it learned from beside its own person had the person among them"
    if not own or any(map(name.is_, own)):
        return "it was trained on the person's recordings"
    return "a model it learned from was trained on the person's recordings"


def _only(folder: Path, name: Name, found: Found) -> bool:
    """Whether a model was trained on this person alone, or is this person's own."""
    if whose(folder):
        return whose(folder) == name.name
    people = model_people(folder)
    personal = folder.parent.name == "model" and folder.parent.parent in found.people_of
    return people == {name.name} or (personal and is_person_folder(folder.name, name.name))


def _clean_model(folder: Path, name: Name, trained: str) -> None:
    with renewed(folder) as work:
        for one in (work, *parts_of(work)):
            _clean_description(one / "estimator.json", name)
        for file in (STORY, "model.json"):
            if (work / file).is_file():
                clean_file(work / file, name)
        if trained:
            story = read_json(work / STORY)
            story = story if isinstance(story, dict) else {}
            why = f"{trained.replace('the person', 'a person').split(':')[0]}, removed on {datetime.now(UTC).date()}"
            marks = [*story.get(MARK, []), why]
            write_text(work / STORY, json.dumps({**story, MARK: list(dict.fromkeys(marks))}, indent=1))


def _clean_description(path: Path, name: Name) -> None:
    """Drop a person's level; a description that was changed by hand stays one that is refused."""
    data = read_json(path)
    if isinstance(data, dict):
        stored = data.pop("sha256", None)
        whole = stored == digest(data)
        for part, levels in levels_in(data):
            part["people"] = {k: v for k, v in levels.items() if not name.is_(k)}
        write_text(path, json.dumps({**data, "sha256": digest(data) if whole else stored}, indent=1))


# -- tables, stores, single files --------------------------------------------------------------------------------------


def _samples(path: Path, name: Name) -> list[tuple[str, int]]:
    """What of a store will go; a store that insula did not write is refused here, before anything is done."""
    from insula.windows.store import Store

    store = Store(path)
    store.require_ours()
    return [part for person in filter(name.is_, store.people()) for part in store.samples_of(person)]


def _clean_store(path: Path, name: Name) -> None:
    from insula.windows.store import Store

    store = Store(path)
    for person in filter(name.is_, store.people()):
        store.forget(person)
