"""
A person's calibration curve
============================

A model of other people meets somebody new. How many labelled trials does it take until it is theirs? Each point is
tested on the same later trials of that person. Two controls must not rise: the labels of somebody else, and the own
labels shuffled between trials.

Simulated people share one way from feeling to body, so there is little to gain here: the curve stays, the controls
fall. Over many people, with intervals: ``insula evaluate --protocol calibrated --trials 0,1,2``.
"""

import numpy as np

import insula
from insula import plots
from insula.explain import picture
from insula.learning.metrics import balanced_accuracy

# %%
# Three simulated people, five trials of each of seven feelings. The model learns from two of them.

people = insula.load("simulate", people=3, trials_per_emotion=5)
windows = insula.cut(people, insula.data.info("simulate").recipe, "emotion").scored[::2]
new, other = windows[windows.groups == "p03"], windows[windows.groups == "p01"]
population = insula.make("liquid", epochs=5).fit(windows[windows.groups != "p03"])

# %%
# Trials are numbered within their class, in time order: the first ones are given, those from the third on are the test.


def nth(one):
    """Number of each window's trial among the person's trials of the same label."""
    trials = one.table.drop_duplicates("trial").set_index("trial")
    return one.table["trial"].map(trials.groupby("y").cumcount()).to_numpy()


test, amounts = new.take(nth(new) >= 2), (0, 1, 2)
rng = np.random.default_rng(0)
lines = []
controls = ("labels of somebody else", "clock", other), ("own labels, shuffled", "bad", new)
for title, ink, person in (("own labels", "c1", new), *controls):
    scores = [balanced_accuracy(test.y.astype(int), population.predict(test))]
    for amount in amounts[1:]:
        given = person.take(nth(person) < amount)
        if "shuffled" in title:
            label = dict(zip(given.table["trial"], given.y, strict=True))
            mixed = dict(zip(label, rng.permutation(list(label.values())), strict=True))
            given = given.with_y(given.table["trial"].map(mixed).to_numpy())
        scores.append(balanced_accuracy(test.y.astype(int), population.personalise(given).predict(test)))
    lines.append(plots.CurveLine(title, ink, amounts, *[tuple(scores)] * 3, title != "own labels"))

words = (
    "Held-out trials of p03. Dashed: controls, which must not rise. Dotted: chance, and p03's model of the same labels."
)
alt = "; ".join(f"{line.title}: {line.mean[0]:.0%} to {line.mean[-1]:.0%}" for line in lines)
own = balanced_accuracy(test.y.astype(int), insula.make("liquid", epochs=5).fit(new.take(nth(new) < 2)).predict(test))
picture.make(
    "curve", "Labelled trials against score", words, alt, plots.calibration, lines, unit="trials", chance=1 / 7, own=own
)
