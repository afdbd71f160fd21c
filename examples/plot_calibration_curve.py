"""
A person's calibration curve
============================

A model of other people meets somebody new. How many labelled trials does it take until it is theirs? Each point is
tested on the same later trials of that person, and two controls must not rise: labels of somebody else, and the own
labels shuffled.

On your own recordings: ``insula personalise --trials 0,1,2``.
"""

import insula
from insula import plots
from insula.evaluation.calibration import OWN, SHUFFLED, WRONG, calibration_curve
from insula.explain import picture
from insula.learning.personal.personal import STRATEGIES

# %%
# Two people. The model learns from one of them; the other one gives one, then two trials of each feeling.

people = insula.load("simulate", people=2, trials_per_emotion=4, trial_s=14.0)
recipe = insula.Recipe(signals=insula.data.info("simulate").recipe.signals, window_s=4.0, hop_s=4.0)
windows = insula.cut(people, recipe, "emotion")
config = insula.EstimatorConfig(train=insula.TrainConfig(epochs=2))
curve = calibration_curve(windows, config, (0, 1, 2), "trials", ("bayes",))
curve.scores.pivot_table(index=["strategy", "amount"], columns="subject", values="score").round(2)

# %%
# The second person's curve. One person says how it is read, not how well it works: that is a mean over people, with its
# interval, in the page that the command writes.

person = windows.groups[-1]
titles = {"population": "population model", "bayes": STRATEGIES["bayes"].title, WRONG: "labels of somebody else",
          SHUFFLED: "own labels, shuffled"}  # fmt: skip
lines = []
for (name, title), ink in zip(titles.items(), ("soft", "c1", "clock", "bad"), strict=True):
    found = {a: float(curve.of(name, a)[person]) for a in curve.amounts if len(curve.of(name, a))}
    found = {0.0: float(curve.of("population", 0.0)[person]), **found}
    mean = tuple(found.values())
    lines.append(plots.CurveLine(title, ink, tuple(found), mean, mean, mean, name in (WRONG, SHUFFLED)))

picture.make(
    "curve",
    "Labelled trials against score",
    f"Held-out trials of {person}. Dashed: controls. Dotted: chance, and the person's own full model.",
    "; ".join(f"{line.title}: {line.mean[0]:.0%} to {line.mean[-1]:.0%}" for line in lines),
    plots.calibration,
    lines,
    unit="trials",
    chance=1 / len(curve.classes),
    own=float(curve.of(OWN, curve.amounts[-1])[person]),
)
