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
# Three people with a strong signature of their own; five trials of each feeling are enough for three of calibration.

people = insula.load("simulate", people=3, trials_per_emotion=5, trial_s=12.0)
recipe = insula.Recipe(signals=insula.data.info("simulate").recipe.signals, window_s=6.0, hop_s=6.0, guard_s=0.0)
windows = insula.cut(people, recipe, "emotion")
config = insula.EstimatorConfig(train=insula.TrainConfig(epochs=2))
curve = calibration_curve(windows, config, (0, 1, 3), "trials", ("bayes",))
curve.scores.pivot_table(index=["strategy", "amount"], columns="subject", values="score").round(2)

# %%
# A line a strategy, means over the three people. With so few of them the bands are wide: the curve shows how it is
# read, not how well it works.

lines = []
for name, ink in (("population", "soft"), ("bayes", "c1"), (WRONG, "clock"), (SHUFFLED, "bad")):
    points = {a: curve.interval(name, a) for a in curve.amounts if len(curve.of(name, a))}
    if name == "bayes":
        points = {0.0: curve.interval("population", 0.0), **points}
    mean, low, high = (tuple(point[k] for point in points.values()) for k in range(3))
    title = STRATEGIES[name].title if name in STRATEGIES else name.replace("_", " ")
    lines.append(plots.CurveLine(title, ink, tuple(points), mean, low, high, name in (WRONG, SHUFFLED)))

picture.make(
    "curve",
    "Labelled trials against score",
    "Dashed: controls. The dotted lines are chance and the mean of people's own full models.",
    "; ".join(f"{line.title}: {line.mean[0]:.0%} to {line.mean[-1]:.0%}" for line in lines),
    plots.calibration,
    lines,
    unit="trials",
    chance=1 / len(curve.classes),
    own=curve.interval(OWN, curve.amounts[-1])[0],
)
