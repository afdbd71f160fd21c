"""An experiment's recordings, under their people's names or codes, and the windows that are cut from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from insula.data import Problem, info, load
from insula.data.pseudonyms import NOTE as CODED
from insula.data.pseudonyms import Pseudonyms, coded, coded_key
from insula.errors import DataError, InputError, InsulaError
from insula.evaluation.experiment import Experiment, apply_recipe
from insula.evaluation.rows import require_names
from insula.notebook import counted
from insula.signals.recipe import Recipe
from insula.types import Recording
from insula.windows.cutting import cut
from insula.windows.store import Held, Store
from insula.windows.store.arrays import StoredTrial, TrialKey
from insula.windows.table import Windows

Progress = Callable[[str, float, int], None]
"""Called with (what, done, total); what goes on counts by its share."""


def read_recordings(
    experiment: Experiment, problems: list[Problem] | None = None, progress: Progress | None = None
) -> tuple[Recording, ...]:
    """Read the experiment's recordings; damaged parts go to ``problems`` (None: the first one raises)."""
    data, codes = experiment.data, _codes(experiment)
    if progress is not None:
        progress("reading recordings", 0, 1)
    with _coded(experiment):
        found = load(data.name, data.root, subjects=_asked(experiment), problems=problems, **experiment.reader_options)
        _require_some(experiment, found, problems or [])
    if progress is not None:
        progress("reading recordings", 1, 1)
    return found if codes is None else codes.renamed(found)


def _codes(experiment: Experiment) -> Pseudonyms | None:
    return None if experiment.data.pseudonyms is None else Pseudonyms(experiment.data.pseudonyms)


def _asked(experiment: Experiment) -> tuple[str, ...] | None:
    """Names of the people who are asked for, whose codes stand in the experiment where there are some."""
    codes, asked = _codes(experiment), experiment.data.subjects
    if codes is None:
        return asked
    codes.names(experiment.data.apart)  # they stand in the result: names are refused
    return None if asked is None else codes.names(asked)


def require_codes(experiment: Experiment) -> None:
    """Raise InputError where the file of codes by which people were named is not there: new ones would be others'."""
    codes = _codes(experiment)
    if codes is not None and not codes.path.is_file():
        raise InputError(
            f"no file {codes.path}, whose codes name the people; expected it, to tell who is meant. Put it there, or "
            "run this where it was run."
        )


@contextmanager
def _coded(experiment: Experiment) -> Iterator[None]:
    """Have what is said of recordings that cannot be read name people by their codes: a grid keeps it."""
    codes = _codes(experiment)
    try:
        yield
    except InsulaError as error:
        if codes is None:
            raise
        raise type(error)(coded(str(error), codes.codes)) from None


def require_private(experiment: Experiment, folder: Path) -> None:
    codes = _codes(experiment)
    if codes is not None:
        codes.require_outside(folder)


def unread(experiment: Experiment, problems: Sequence[Problem]) -> list[str]:
    """Notes on what could not be read; only how much where people have codes, since files name them."""
    if experiment.data.pseudonyms is None:
        return [f"{p.file}: {p.what}" for p in problems]
    parts = [f"{counted(len(problems), 'part')} of the recordings could not be read: insula data check lists them"]
    return [CODED, *(parts if problems else [])]


def _require_some(experiment: Experiment, found: Sequence[Recording], problems: Sequence[Problem]) -> None:
    if not found:
        why = "; ".join([note for note in unread(experiment, problems) if note != CODED][:3])
        where = f"{experiment.data.name} in {experiment.data.root}"
        raise DataError(f"no recording of {where}; expected at least one. {why}")


def hold_recordings(
    experiment: Experiment,
    recipe: Recipe,
    store: Store,
    problems: list[Problem],
    jobs: int = 1,
    progress: Progress | None = None,
) -> Held:
    """Give the experiment's recordings from a store, in which people who are missing are put first, cleaned."""
    data = experiment.data
    with _coded(experiment):
        held = store.hold(
            data.name,
            data.root,
            recipe,
            subjects=_asked(experiment),
            options=experiment.reader_options,
            problems=problems,
            jobs=jobs,
            progress=named(progress, "cleaning people"),
        )
        _require_some(experiment, held.recordings, problems)
    codes = _codes(experiment)
    if codes is None:
        return held
    recordings, known = codes.renamed(held.recordings), codes.codes
    return Held(recordings, {coded_key(key, known): trial for key, trial in held.clean.items()})


def cut_windows(
    experiment: Experiment,
    recordings: tuple[Recording, ...],
    progress: Progress | None = None,
    clean: Mapping[TrialKey, StoredTrial] | None = None,
) -> Windows:
    """Cut the experiment's recordings by its data set's recipe and the experiment's changes to it.

    ``clean`` are the trials of a store, if the recordings come from one.
    """
    data = experiment.data
    known = info(data.name)
    labels = sorted({name for r in recordings for t in r.trials for name in t.labels})
    target = data.target or next((name for name in known.targets if name in labels), None)
    if target is None:
        raise InputError(
            f"data {data.name} without a target; expected one of {', '.join(labels) or '(no labels)'}. "
            "Give --target NAME."
        )
    return cut(
        recordings,
        apply_recipe(known.recipe, experiment.recipe),
        target,
        modalities=data.modalities,
        traits=data.traits,
        progress=named(progress, "cleaning trials"),
        clean=clean,
    )


def read_and_cut(
    experiment: Experiment, device: str, progress: Progress | None, store: Store | None = None, jobs: int = 1
) -> Windows:
    """Check every name, then read and cut; what was damaged is in the windows' notes."""
    require_names(experiment, device)
    recipe = apply_recipe(info(experiment.data.name).recipe, experiment.recipe)
    problems: list[Problem] = []
    if store is None:
        windows = cut_windows(experiment, read_recordings(experiment, problems, progress), progress)
    else:
        held = hold_recordings(experiment, recipe, store, problems, jobs, progress)
        windows = cut_windows(experiment, held.recordings, progress, held.clean)
    windows.note(unread(experiment, problems))
    strangers = sorted(set(experiment.data.apart) - set(windows.table["subject"].astype(str)))
    windows.note([f"apart: {', '.join(strangers)}: nobody of that name was read"] if strangers else [])
    return windows


def named(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    return None if progress is None else (lambda done, total: progress(what, done, total))
