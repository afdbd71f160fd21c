"""
A live session, replayed
========================

A recording acts as a device: its packets go through the live predictor, which decides every two seconds from what it
has seen so far. The same model then reads the whole recording at once, and says the same.

With a device or a recording of yours: ``insula live --model DIR --source SOURCE``.
"""

import math

import numpy as np

import insula
from insula import plots
from insula.explain import picture
from insula.live.predictor import Predictor
from insula.live.sources.replay import Replay

# %%
# A model of two people for a third one, who is played as fast as it goes.

people = insula.load("simulate", people=3)
recipe = insula.data.info("simulate").recipe
model = insula.make("liquid", epochs=6, normaliser="opening").fit(insula.cut(people[:2], recipe, "emotion").scored)
predictor = Predictor(model)
device, seat, decisions = Replay(people[2], speed=math.inf), predictor.seat(), []
while (packets := device.read(1.0)) is not None:
    decisions += predictor.step(seat, packets)
said = [d for d in decisions if d.kind == "scored"]

# %%
# Offline, the same windows at once.

whole = insula.cut([people[2]], recipe, "emotion", schema=model.schema)
offline = model.predict_proba(whole)[(whole.table["role"] == "scored").to_numpy()]
live = np.stack([d.chances for d in said])
print(f"{len(said)} decisions; live and offline differ by {np.abs(live - offline).max():.1e} at most")

# %%
# The band is what the person felt, below it what the model said as the signals came.

truth = {t.trial: model.schema.classes.index(t.labels["emotion"]) for t in people[2].trials if t.labels}
trials = {name: i for i, name in enumerate(truth)}
at = [np.array([value(d) for d in said]) for value in (
    lambda d: d.start_s, lambda d: d.stop_s, lambda d: truth[d.key[2]], lambda d: trials[d.key[2]])]  # fmt: skip
right = float(np.mean(live.argmax(1) == at[2]))
strip = plots.Strip(people[2].subject, f"{right:.0%} of windows right", at[0], at[1], at[2], live, at[3])
words = "Chances of each label, a decision every hop; between trials nothing is said."
alt = f"{right:.0%} of {len(said)} live decisions are right"
picture.make("live", "What was felt, and what was said live", words, alt, plots.timeline, [strip], model.schema.classes)
