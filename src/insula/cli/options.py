"""Options that several commands share, and the Experiment they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from insula.evaluation.experiment import Experiment
    from insula.windows.store import Store

DataName = Annotated[str | None, typer.Option("--data", help="Data set: a name of `insula data list`.")]
Root = Annotated[Path | None, typer.Option("--root", help="Folder of the data (for manifest also its CSV).")]
TargetName = Annotated[
    str | None,
    typer.Option(
        "--target",
        help="What to recognise: NAME, 'NAME>=5', 'NAME>median', 'A,B>=5', NAME:classes, 'NAME:bins=3,5,7'. "
        "Default: the first one.",
    ),
]
Modalities = Annotated[
    str | None, typer.Option("--modalities", help="Comma-separated, e.g. eda,bvp. Default: all that the data have.")
]
Pseudonyms = Annotated[
    Path | None,
    typer.Option(
        "--pseudonyms",
        help="Private file of codes, made when it is not there: everything that is written and told then names people "
        "by them, and so do you (--subjects c01). Keep it apart from what you share.",
    ),
]
Subjects = Annotated[str | None, typer.Option("--subjects", help="Comma-separated people. Default: all.")]
Normaliser = Annotated[
    str | None,
    typer.Option(
        "--normaliser",
        help="pre_trial, opening, population, person_trials, running or whole_session. Default: by protocol and data.",
    ),
]
Align = Annotated[
    str | None,
    typer.Option(
        "--align",
        help="Bring people's EEG together by the rows of the normaliser (opening, person_trials, whole_session): "
        "euclidean or riemannian. Default: none.",
    ),
]
Teacher = Annotated[
    str | None,
    typer.Option(
        "--teacher",
        help="Folder of a result (--keep-folds) of the same data, protocol and seed, or of a saved model that has not "
        "seen the people tested: its probabilities are learned beside the labels.",
    ),
]
Start = Annotated[
    str | None,
    typer.Option(
        "--from", help="Folder of insula pretrain (or of a saved network) whose weights training begins with."
    ),
]
Encoder = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        help="NAME:DIR, an encoder that others have trained (`insula models`) and the folder of its weights, in the "
        "network's place: frozen with a linear probe.",
    ),
]
Finetune = Annotated[
    bool | None, typer.Option("--finetune/--frozen", help="Train the --encoder too, gently. Default: frozen.")
]
Window = Annotated[float | None, typer.Option("--window", help="Window in seconds. Default: the data set's recipe.")]
Hop = Annotated[float | None, typer.Option("--hop", help="Seconds from window to window. Default: the recipe.")]
Guard = Annotated[
    float | None, typer.Option("--guard", help="Seconds dropped at a trial's start. Default: the recipe.")
]
Epochs = Annotated[int | None, typer.Option("--epochs", help="Most training epochs. Default: 15.")]
Quality = Annotated[
    str | None,
    typer.Option(
        "--quality",
        help="Spoiled training windows (flat, clipped, gap, hum, motion): keep, drop or weigh. Default: keep.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of all that is drawn at random.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda or mps.")]
ExperimentFile = Annotated[
    Path | None,
    typer.Option("--experiment", help="TOML file with the whole experiment; flags that are given replace its keys."),
]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Any key, e.g. --set train.learning_rate=0.001. May be repeated.")
]


StoreFolder = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="Folder or URL that keeps cleaned trials, made once, read the next time; for data larger than memory.",
    ),
]


def store(where: str | None) -> Store | None:
    """Open the store that an option names."""
    if where is None:
        return None
    from insula.windows.store import Store

    return Store(where)


Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier result in --out.")]


def result_folder(out: Path | None, usual: Path, overwrite: bool) -> Path:
    """Choose where a run is written: never over an earlier result unless told.

    Without ``out`` it is the ``usual`` folder, or the first of ``usual-2``, ``usual-3``, .. that holds no result.
    """
    from insula.errors import InputError

    if out is None and not overwrite:
        number, folder = 1, usual
        while (folder / "result.json").exists():
            number += 1
            folder = usual.with_name(f"{usual.name}-{number}")
        return folder
    folder = usual if out is None else out
    if not overwrite and (folder / "result.json").exists():
        raise InputError(
            f"{folder} holds an earlier result; expected a new folder. Give another --out, or --overwrite."
        )
    return folder


def network(
    models: tuple[str, ...], encoder: str | None, finetune: bool | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Keys of [model] that these options make, and the networks that stand beside it."""
    from insula.errors import InputError
    from insula.models import encoder_named

    if encoder is None:
        if finetune is not None:
            raise InputError("--finetune or --frozen without --encoder; expected both. Give --encoder NAME:DIR.")
        return {"name": models[0] if models else None}, models[1:]
    name, options = encoder_named(encoder)
    return {"name": name, "options": {**options, "finetune": bool(finetune)}}, models


def one_network(model: str | None, encoder: str | None, finetune: bool | None) -> dict[str, Any]:
    """The same where one network is trained."""
    from insula.errors import InputError

    if model is not None and encoder is not None:
        raise InputError(f"--model {model} and --encoder {encoder}; expected one of them. Leave one out.")
    return network(() if model is None else (model,), encoder, finetune)[0]


def make_experiment(file: Path | None, tables: dict[str, dict[str, Any]], settings: list[str] | None) -> Experiment:
    """Merge an experiment file, the given flags (None: not given) and ``--set`` keys."""
    from insula.errors import InputError
    from insula.evaluation.experiment import experiment_from, read_experiment

    base: dict[str, Any] = read_experiment(file).to_dict() if file is not None else {}
    for name, table in tables.items():
        given = {k: v for k, v in table.items() if v is not None}
        if name == "":
            base.update(given)
        elif given:
            base[name] = {**base.get(name, {}), **given}
    for setting in settings or []:
        path, found, text = setting.partition("=")
        if not found:
            raise InputError(f"--set {setting!r}; expected KEY=VALUE. For instance --set train.epochs=20.")
        _put(base, path.strip().split("."), value(text.strip()))
    if not base.get("data", {}).get("name"):
        raise InputError(
            "no data named; expected a data set. Give --data NAME (`insula data list`) or --experiment FILE."
        )
    return experiment_from(base)


def text(path: Path | None) -> str | None:
    """A path as an experiment keeps it."""
    return None if path is None else str(path)


def names(text: str | None) -> tuple[str, ...] | None:
    """Split a comma-separated option."""
    return None if text is None else tuple(part.strip() for part in text.split(",") if part.strip())


def numbers(option: str, text: str | None, kind: type[int] | type[float]) -> list[int] | list[float] | None:
    """Split a comma-separated option of numbers."""
    from insula.errors import InputError

    try:
        return None if text is None else [kind(part) for part in text.split(",") if part.strip()]
    except ValueError:
        what = "whole numbers" if kind is int else "numbers"
        raise InputError(f"{option} {text!r}; expected {what} by comma. For instance 0,1,2.") from None


def _put(tables: dict[str, Any], path: list[str], value: Any) -> None:
    from insula.errors import InputError

    for key in path[:-1]:
        inner = tables.setdefault(key, {})
        if not isinstance(inner, dict):
            raise InputError(
                f"--set {'.'.join(path)}; expected {key} to be a table, it is {inner!r}. Set {key} itself."
            )
        tables = inner
    tables[path[-1]] = value


def value(text: str) -> Any:
    """Read a value as TOML has it; what is none is text."""
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text
