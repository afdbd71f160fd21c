"""
Energy against accuracy
=======================

What does a decision cost, and what does it give? Operations of every system are counted and priced at 45 nm; a row
that costs a thousandth and says as much is the better one for a wristband.

Of a result: the report's part on energy, or ``insula energy``.
"""

import numpy as np

import insula
from insula import plots
from insula.explain import picture
from insula.explain.cost import joules_text
from insula.explain.cost.systems import network_energy, row_energy
from insula.learning.metrics import balanced_accuracy

# %%
# A network and classical rows learn from the same trials of two people and answer the same held-out ones.

windows = insula.cut(insula.load("simulate", people=2), insula.data.info("simulate").recipe, "emotion")
folds = insula.split("within_subject", windows)
first = {w: next(f for f in folds if f.test.groups[0] == w) for w in dict.fromkeys(windows.groups)}
points = []
for name, title in {
    "liquid": "Liquid fusion",
    "random_forest": "Random forest",
    "logistic_regression": "Logistic regression",
}.items():
    network, scores = name in insula.MODELS, []
    for fold in first.values():
        model = insula.make(name, **({"epochs": 6} if network else {})).fit(fold.train)
        scores.append(balanced_accuracy(fold.test.y.astype(np.int64), model.predict(fold.test)))
    if network:
        sheet = network_energy(name, title, "model", model, fold.test, "trained", 1)
    else:
        sheet = row_energy(name, title, model, fold.test, "trained", 1)
    ends = float(np.mean(scores)), min(scores), max(scores)
    points.append(plots.CostPoint(title, sheet.joules_decision, *ends, "model" if network else "classical"))

# %%
# Bars reach from the worse of the two people to the better one. Up and to the left is better.

picture.make(
    "energy",
    "What it costs and what it gives",
    "Joules of one decision on a log axis: counted operations, without sensors and memory.",
    "; ".join(f"{p.name}: {joules_text(p.joules)}, {p.score:.0%}" for p in points),
    plots.energy,
    points,
    1 / len(windows.schema.classes),
    axis="balanced accuracy",
    tick=lambda v: f"{v:.0%}",
    joules=joules_text,
)
