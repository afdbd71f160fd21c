"""Reader of Stress-Predict (Iqbal et al. 2022): E4 recordings of rest and three stress tasks, one label a second."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from insula.data.formats.empatica import E4Session, read_session
from insula.data.formats.tables import chosen, read_table, require_folder
from insula.data.formats.workbook import workbook
from insula.data.info import DataInfo, FileError, Problem, collecting, note
from insula.signals.recipe import Recipe
from insula.types import Label, Recording, Trial

INFO = DataInfo(
    name="stress_predict",
    title="Stress-Predict: wristband recordings of 35 people, rest and three stress tasks, about 60 minutes each",
    licence="MIT",
    where="https://github.com/italha-d/Stress-Predict-Dataset",
    targets={
        "stress": "rest or stress, one label a second",
        "task": "rest, stroop, interview or hyperventilation, from the fixed order of the session",
    },
    recipe=Recipe(window_s=60.0, hop_s=10.0, guard_s=10.0, opening_s=180.0).only(("eda", "bvp", "temp", "hr")),
    citation="Iqbal et al. 2022, Sensors 22:8135, doi:10.3390/s22218135",
)

LABELS_FILE = Path("Processed_data/Improved_All_Combined_hr_rsp_binary.csv")
SCORES_FILE = Path("Processed_data/Questionnaires_scores.xlsx")
STRESS = ("rest", "stress")
TASKS = ("rest", "stroop", "rest", "interview", "rest", "hyperventilation", "rest")
"""Order of the blocks in every session (Time_logs.xlsx and the paper)."""


def read(
    root: Path, *, subjects: Collection[str] | None = None, problems: list[Problem] | None = None
) -> list[Recording]:
    """Read people ``S01``... of the unpacked data set; session clock 0 is the start of the E4 files.

    A trial is a maximal stretch of constant label in the per-second table; a second without a label is a gap. Labels:
    ``stress``, and ``task`` (also the stimulus) where the blocks follow the data set's order. Traits: ``pss_before``
    and ``stai_before``, the published questionnaire totals from before the session (those from after it are not known
    when a prediction is made). A person without labels (S01) keeps one unlabelled trial.
    """
    folders = _folders(root)
    wanted = chosen(subjects, folders)
    labels: dict[str, pd.DataFrame] = {}
    traits: Mapping[str, Mapping[str, float]] = {}
    with collecting(problems):
        labels = _read_labels(root / LABELS_FILE, problems)
    with collecting(problems):
        traits = _read_scores(root / SCORES_FILE, problems)
    recordings: list[Recording] = []
    for subject in wanted:
        with collecting(problems):
            session = read_session(folders[subject], ("eda", "bvp", "temp", "hr", "ibi"), problems)
            trials = _trials(subject, session, labels.get(subject), root / LABELS_FILE, problems)
            provenance = {
                "data": INFO.name,
                "licence": INFO.licence,
                "files": f"{folders[subject]}; {root / LABELS_FILE}",
                "start_unix_s": str(session.start_unix_s),
            }
            recordings.append(Recording(subject, "only", trials, traits.get(subject, {}), provenance))
    return recordings


def people(root: Path) -> list[str]:
    """Return the names of the people with a folder ``S01`` and so on."""
    return list(_folders(root))


def _folders(root: Path) -> dict[str, Path]:
    require_folder(root, "Raw_data/S02 and Processed_data of Stress-Predict")
    require_folder(root / "Raw_data", "a folder a person, S01 and so on")
    folders = {d.name: d for d in (root / "Raw_data").iterdir() if d.is_dir() and d.name[1:].isdigit()}
    if not folders:
        raise FileError(root / "Raw_data", "no folder of a person; expected S01, S02 and so on. Unpack the data again.")
    return folders


def _read_labels(path: Path, problems: list[Problem] | None) -> dict[str, pd.DataFrame]:
    columns = ("Participant", "Time(sec)", "Label")
    table = read_table(path, columns, numbers=columns, problems=problems, drop_cut_line=True)
    table = table.loc[:, list(columns)].set_axis(["participant", "time_s", "label"], axis=1)
    if table["participant"].isna().any():
        row = int(table["participant"].isna().to_numpy().argmax())
        raise FileError(path, f"line {row + 2}: no Participant; expected a number. Correct the line.")
    return {f"S{int(str(number).split('.')[0]):02d}": part for number, part in table.groupby("participant")}


def _trials(
    subject: str, session: E4Session, table: pd.DataFrame | None, path: Path, problems: list[Problem] | None
) -> tuple[Trial, ...]:
    whole = (Trial(subject, "only", "unlabelled", 0.0, session.duration_s, session.signals),)
    if table is None:
        note(problems, path, f"no label for {subject}; the session is kept as one unlabelled trial")
        return whole
    label, start, stop = _blocks(table, subject, path)
    tasks = _tasks(label)
    if tasks is None:
        note(problems, path, f"blocks of {subject} do not follow {' '.join(TASKS)}; they carry no task label")
    trials: list[Trial] = []
    for i, code in enumerate(label):
        start_s, stop_s = start[i] - session.start_unix_s, stop[i] - session.start_unix_s
        if start_s < 0 or stop_s > session.duration_s + 60:
            raise FileError(
                path,
                f"labels of {subject} from {start_s:.0f} to {stop_s:.0f} s of the session; expected within its "
                f"{session.duration_s:.0f} s. Check that labels and recording belong together.",
            )
        signals = {name: signal.crop(start_s, stop_s) for name, signal in session.signals.items()}
        signals = {name: signal for name, signal in signals.items() if signal.n_samples}
        if not signals:
            note(problems, path, f"block {i + 1} of {subject} has no sample of any signal; it was left out")
            continue
        task = tasks[i] if tasks else None
        labels: dict[str, Label] = {"stress": STRESS[code]}
        if task:
            labels["task"] = task
        name = f"{i + 1}-{task or STRESS[code]}"
        trials.append(Trial(subject, "only", name, start_s, stop_s, signals, labels, task))
    return tuple(trials) or whole


def _blocks(table: pd.DataFrame, subject: str, path: Path) -> tuple[list[int], list[float], list[float]]:
    """Cut one person's per-second labels into maximal stretches: label code, first second, end of the last second."""
    table = table[table["label"].notna() & table["time_s"].notna()]
    label, time = table["label"].to_numpy(), table["time_s"].to_numpy()
    if not np.isin(label, (0, 1)).all():
        odd = label[~np.isin(label, (0, 1))][0]
        raise FileError(path, f"label {odd:g} of {subject}; expected 0 (rest) or 1 (stress). Correct the table.")
    step = np.diff(time)
    if (step <= 0).any():
        at = time[1:][step <= 0][0]
        raise FileError(
            path, f"time {at:.0f} of {subject} repeats or goes back; expected rising seconds. Correct the table."
        )
    edges = np.flatnonzero((np.diff(label) != 0) | (step > 1.5)) + 1
    first, last = np.r_[0, edges], np.r_[edges, len(label)] - 1
    if not len(label):
        return [], [], []
    return label[first].astype(int).tolist(), time[first].tolist(), (time[last] + 1).tolist()


def _tasks(label: list[int]) -> list[str] | None:
    """Name the blocks after the known order, blocks split by a gap counting once; None where the order differs."""
    order = np.cumsum(np.r_[0, np.diff(label) != 0]) if label else np.zeros(0, int)
    if label and (label[0] != 0 or order[-1] >= len(TASKS)):
        return None
    return [TASKS[i] for i in order]


def _read_scores(path: Path, problems: list[Problem] | None) -> dict[str, dict[str, float]]:
    """Read the totals that the sheets print a person (before the session); a missing workbook means no traits."""
    if not path.exists():
        note(problems, path, "no such file; people are read without traits")
        return {}
    sheets = workbook(path)
    traits: dict[str, dict[str, float]] = {}
    for sheet in ("pss", "stai"):
        rows = sheets.get(sheet, [])
        total = next((row for row in rows if row and row[0] == "Total"), None)
        if total is None:
            note(problems, path, f"no sheet {sheet.upper()} with a row Total; people are read without {sheet}_before")
            continue
        for column, person in enumerate(rows[0]):
            value = total[column] if column < len(total) else None
            if isinstance(person, str) and isinstance(value, int | float):
                traits.setdefault(person.strip(), {})[f"{sheet}_before"] = float(value)
    return traits
