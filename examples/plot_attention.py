"""
One window through the network
==============================

A window of five sensors goes through the liquid network: what it reads, which moments it weighs, and what it says.
Attention tells what this network weighs, not what the body does.

Of a result with all analyses: ``insula explain runs/mine``.
"""

import numpy as np

import insula
from insula import plots
from insula.explain import picture

# %%
# A network learns from the first trials of one simulated person, and meets a window of the others.

windows = insula.cut(insula.load("simulate", people=1), insula.data.info("simulate").recipe, "emotion")
fold = insula.split("within_subject", windows)[0]
model = insula.make("liquid", epochs=15, residual="always").fit(fold.train)

# %%
# Its answers to the held-out windows; the one it is surest of is looked at. Not a fair sample: a clear one to see.

chances = model.predict_proba(fold.test)
at = int(chances.max(1).argmax())
one = fold.test.take([at])
classes = one.schema.classes
said = ", ".join(f"{classes[k]} {chances[at, k]:.0%}" for k in np.argsort(-chances[at])[:3])
print(f"it says {said}; the label is {classes[int(one.y[0])]}")

# %%
# Below the signals: how far each head's attention is from an even share, and their mean; more lies on a tint. A
# network that was trained for so short a time weighs its moments almost alike, and the picture says so.

signals, _ = one.signals()
seconds = windows.recipe.window_s
weights = model.outputs(one, ("attention:time",))["attention:time"][0]
spread = np.abs(weights * weights.shape[1] - 1).max()
top = (weights.mean(0).argmax() + 0.5) / weights.shape[1] * seconds - seconds

picture.make(
    "window",
    "Five sensors, one window, and where the network looks",
    f"It says {said}. No head gives a moment more than {spread:.0%} above or below an even share.",
    f"The network looks most at {-top:.1f} seconds before the window's end and says {said}",
    plots.window,
    [plots.Trace(name, values[0, 0]) for name, values in signals.items()],
    seconds,
    weights,
)
