"""An in-memory stand-in for `insula.Windows` with the same attributes, for tests of what reads windows."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd

from insula.types import ChannelSpec, Schema


class WindowsDouble:
    """Windows over arrays: features by modality, EEG signals, traits."""

    def __init__(self, table, features, classes=("a", "b"), eeg=None, traits=None, rows=None):
        self._all = (table, features, eeg, traits)
        self.mix = None
        self.rows = np.arange(len(table)) if rows is None else np.asarray(rows)
        self.table = table.iloc[self.rows].reset_index(drop=True)
        modalities = {m: ChannelSpec((m,), 4.0, "uS") for m in features}
        if eeg is not None:
            modalities["eeg"] = ChannelSpec(tuple(f"E{i}" for i in range(eeg.shape[1])), 64.0, "uV")
        names = {m: tuple(f"{m}_{i}" for i in range(v.shape[1])) for m, v in features.items()}
        self.schema = Schema(modalities, names, ("openness",) if traits is not None else (), "state", tuple(classes))
        self.recipe = SimpleNamespace(window_s=10.0, hop_s=10.0)
        self.notes = ()
        self.terms = None

    def __len__(self):
        return len(self.rows)

    @property
    def y(self):
        return self.table["y"].to_numpy()

    @property
    def clean(self):
        keys = ["subject", "session", "trial"]
        spans = self._all[0].groupby(keys, sort=False).agg(start_s=("start_s", "min"), stop_s=("stop_s", "max"))
        return {key: SimpleNamespace(**span) for key, span in spans.to_dict("index").items()}

    @property
    def scored(self):
        return self.take(np.flatnonzero(self.table["role"] == "scored"))

    def take(self, rows):
        table, features, eeg, traits = self._all
        view = WindowsDouble(table, features, self.schema.classes, eeg, traits, self.rows[np.asarray(rows)])
        view.table["y"] = self.table["y"].to_numpy()[np.asarray(rows)]
        return view

    def once(self, name, make):  # noqa: ARG002
        return make()

    def everything(self):
        table, features, eeg, traits = self._all
        return WindowsDouble(table, features, self.schema.classes, eeg, traits)

    def features(self):
        return {m: v[self.rows].astype(np.float32) for m, v in self._all[1].items()}

    def traits(self):
        return self._all[3][self.rows]

    def signals(self, rows=None):
        chosen = np.arange(len(self)) if rows is None else np.asarray(rows)
        eeg = self._all[2][self.rows[chosen]].astype(np.float32)
        return {"eeg": eeg}, {"eeg": np.ones((len(chosen), eeg.shape[2]), bool)}

    def present(self):
        return np.ones((len(self), len(self.schema.modalities)), bool)


def make_table(
    people=4,
    sessions=1,
    trials=6,
    windows=5,
    classes=2,
    seed=0,
    *,
    schedule="random",
    hop_s=10.0,
    window_s=20.0,
    reference=0,
    stimuli=True,
    jitter_s=0.0,
):
    """A Windows table: trials of equal length one after another, labels balanced in each session.

    ``schedule`` is ``random`` (own order a person) or ``shared``; ``reference`` opening windows come first.
    """
    rng = np.random.default_rng(seed)
    common = np.arange(trials) % classes
    rows = []
    for p in range(people):
        for s in range(sessions):
            labels = common if schedule == "shared" else rng.permutation(common)
            clock = 0.0
            for w in range(reference):
                rows.append((f"S{p}", f"{s}", "base", None, -1, clock + w * hop_s, "reference", -1))
            clock += reference * hop_s + (window_s if reference else 0)
            clock += rng.uniform(0, jitter_s)
            for t, label in enumerate(labels):
                for w in range(windows):
                    name = f"v{label}{t // classes}" if stimuli else None
                    rows.append((f"S{p}", f"{s}", f"t{t}", name, t, clock + w * hop_s, "scored", int(label)))
                clock += windows * hop_s + window_s
    columns = ["subject", "session", "trial", "stimulus", "trial_index", "start_s", "role", "y"]
    table = pd.DataFrame(rows, columns=columns)
    table["stop_s"] = table["start_s"] + window_s
    table["elapsed_s"] = table["stop_s"]
    return table


def make_windows(
    table, effect=1.0, columns=3, seed=0, person_shift=2.0, fingerprint=0.0, classes=("a", "b"), eeg=False
):
    """Features that follow the label by ``effect``, with a level a person and a fingerprint a trial."""
    rng = np.random.default_rng(seed)
    n = len(table)
    values = rng.normal(size=(n, columns))
    scored = table["role"].to_numpy() == "scored"
    values[scored, 0] += effect * table["y"].to_numpy()[scored]
    for keys, scale in ((["subject"], person_shift), (["subject", "session", "trial"], fingerprint)):
        unit = table.groupby(keys, sort=False).ngroup().to_numpy()
        values += scale * rng.normal(size=(unit.max() + 1, columns))[unit]
    signals = None
    if eeg:
        signals = rng.normal(size=(n, 4, 256)) * 10
        signals[:, 0] *= 1 + effect * np.maximum(table["y"].to_numpy(), 0)[:, None]
    return WindowsDouble(table, {"eda": values}, classes, eeg=signals, traits=np.zeros((n, 1), np.float32))


def predictions(table, guess, classes=("a", "b"), system="one", confidence=0.8):
    """A prediction table from guessed class codes."""
    rows = table[table["role"] == "scored"].reset_index(drop=True)
    names = np.array(classes, object)
    out = rows[["subject", "session", "trial", "stimulus", "start_s", "stop_s", "elapsed_s"]].copy()
    out.insert(0, "system", system)
    out.insert(1, "fold", "0")
    out["y_true"] = names[rows["y"].to_numpy()]
    out["y_pred"] = names[np.asarray(guess)]
    rest = (1 - confidence) / (len(classes) - 1)
    for k, name in enumerate(classes):
        out[f"p_{name}"] = np.where(np.asarray(guess) == k, confidence, rest)
    return out
