"""The command that applies saved models to recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from insula.cli import options as o
from insula.cli import show
from insula.notebook import counted


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(predict)


def predict(
    model: Annotated[
        Path, typer.Option("--model", help="Folder that `insula evaluate` or `insula train` wrote (or a model in it).")
    ],
    data: o.DataName = None,
    root: o.Root = None,
    subjects: o.Subjects = None,
    pseudonyms: o.Pseudonyms = None,
    as_person: Annotated[
        str | None, typer.Option("--as", help="Answer everybody by this person's model. Default: each by the own one.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="CSV to write. Default: print a summary only.")] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold", help="A cascade: uncertainty (0 to 1) that wakes the second branch. Default: as trained."
        ),
    ] = None,
    settings: o.Set = None,
    store: o.StoreFolder = None,
    device: o.Device = "cpu",
) -> None:
    """Predict every window of recordings with saved models; labels are not needed.

    Each person is answered by the own model where there are personal ones, and never by another person's unasked. Every
    answer comes with how far the model was shown to be trusted.
    """
    import pandas as pd

    from insula.errors import InputError
    from insula.evaluation.saved import choose, models_in, named_otherwise, trust
    from insula.explain.cascade import set_threshold, woken_share
    from insula.files import quoted
    from insula.pipeline.predicting import predict_table, predict_windows
    from insula.privacy.retraining import retraining_note

    tables = {
        "data": {
            "name": data,
            "root": o.text(root),
            "subjects": o.names(subjects),
            "pseudonyms": o.text(pseudonyms),
        }
    }
    if out is not None and out.is_dir():
        raise InputError(f"{out} is a folder; expected a CSV file to write. Give another --out.")
    plan = o.make_experiment(None, tables, settings)
    saved = models_in(model)
    parts: list[pd.DataFrame] = []
    rows: list[tuple[str, str]] = []
    notes = named_otherwise(saved, plan.data.pseudonyms)
    with show.progress() as report:
        loaded = {one.folder: _load(one.folder, device) for one in saved}
        if threshold is not None:
            for estimator in loaded.values():
                set_threshold(_network(estimator), threshold)
        windows = predict_windows(next(iter(loaded.values())), plan, report, o.store(store))
        people = list(dict.fromkeys(windows.table["subject"]))
        for person, one in choose(saved, people, as_person).items():
            own = windows.take((windows.table["subject"] == person).to_numpy())
            table = predict_table(loaded[one.folder], own)
            said = trust(one, person)
            parts.append(table.assign(trust=said) if one.evaluation is not None else table)
            rows += [(person, _summary(loaded[one.folder], table)), ("  trust", said)]
            again = retraining_note(one.folder)
            notes += [f"this model must be trained again: {again}"] if again else []
    show.warn([*dict.fromkeys(notes), *windows.notes])
    whole = pd.concat(parts, ignore_index=True)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        quoted(whole).to_csv(out, index=False)
        rows.append(("written", str(out)))
    if threshold is not None:
        woken = woken_share(_network(next(iter(loaded.values()))), windows)
        rows.insert(0, ("second branch", f"woken by {woken:.1%} of windows"))
    count = whole["subject"].nunique()
    show.console().print(show.facts([("windows", f"{len(whole):,} of {counted(count, 'person')}"), *rows]))


def _load(folder: Path, device: str) -> Any:
    """A saved model, with what reads its answers anew where it was made a person's own."""
    from insula.learning.personal.personal import PERSONAL, Personal
    from insula.learning.saving import load_model

    own = (folder.parent / PERSONAL).is_file()
    return Personal.load(folder.parent, device=device) if own else load_model(folder, device)


def _network(model: object) -> Any:
    """The network of a saved model, a person's own where it has other people's prior."""
    from insula.errors import InputError
    from insula.learning.estimator import Estimator
    from insula.learning.learner import Learner
    from insula.learning.prior import own_of

    own = own_of(cast(Learner, getattr(model, "base", model)))
    if not isinstance(own, Estimator):
        raise InputError(f"--threshold for {own!r}; expected a cascade of two networks. Leave it out.")
    return own


def _summary(estimator: object, table: object) -> str:
    found, frame = cast(Any, estimator), cast(Any, table)
    if found.schema.continuous:
        return f"{found.schema.target}: mean {frame['prediction'].mean():.3f} of {len(frame):,} windows"
    shares = frame["prediction"].value_counts(normalize=True)
    return ", ".join(f"{name} {share:.1%} of windows" for name, share in shares.items())
