"""
The leak, played
================

People whose bodies know nothing of what they feel, and two ways to hold windows out. Shuffled windows put seconds of
one trial on both sides: a model recognises the trial and looks its label up. Whole trials held out leave chance.

On your own recordings: ``insula evaluate --protocol random_windows``, then ``--protocol within_subject``.
"""

import numpy as np

import insula
from insula import plots
from insula.explain import picture

# %%
# Four people, three trials of each of seven feelings; with ``effect=0`` the signals are drawn without the label.

people = insula.load("simulate", people=4, trials_per_emotion=3, effect=0.0)
windows = insula.cut(people, insula.data.info("simulate").recipe, "emotion")
windows


# %%
# Every row learns and answers under both protocols; a score is the mean balanced accuracy over people.


def score(row: str, protocol: str) -> float:
    """Share of held-out windows that a row tells right, mean over folds."""
    right = []
    for fold in insula.split(protocol, windows):
        answers = insula.make(row).fit(fold.train).predict(fold.test)
        right += [np.mean(answers[fold.test.y == y] == y) for y in np.unique(fold.test.y)]
    return float(np.mean(right))


rows = {"Random forest": "random_forest", "Logistic regression": "logistic_regression", "Majority": "majority"}
found = {title: [score(row, p) for p in ("random_windows", "within_subject")] for title, row in rows.items()}

# %%
# Nothing was there to be recognised. What falls is the leak.

picture.make(
    "leak",
    "Windows shuffled, whole trials held out",
    "Four simulated people who feel nothing; chance is the dashed line.",
    "; ".join(f"{title}: {leaky:.0%} shuffled, {clean:.0%} held out" for title, (leaky, clean) in found.items()),
    plots.slopes,
    [plots.Slope(title, np.nan, leaky, clean, 1 / 7) for title, (leaky, clean) in found.items()],
)
