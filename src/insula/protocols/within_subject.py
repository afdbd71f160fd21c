"""A model a person, whole trials held out."""

from __future__ import annotations

import numpy as np

from insula.protocols.dealing import by_person
from insula.protocols.grouping import codes, is_continuous, stratified_folds, trial_labels
from insula.protocols.protocol import TRIAL, Design, Part, Parts, Protocol


def deal(d: Design) -> Parts:
    """Deal each person's trials to at most 5 folds, stratified, never more than the rarest class has trials."""
    parts: list[Part] = []
    notes: list[str] = []
    for subject, rows in by_person(d):
        trials = trial_labels(d.table, rows)
        labels = trials["label"].to_numpy()
        if is_continuous(labels):
            smallest, why = len(trials), f"{subject}: {len(trials)} trial"
        else:
            classes, counts = np.unique(labels, return_counts=True)
            if classes.size < 2:
                notes.append(f"{subject}: one class only")
                continue
            smallest, why = int(counts.min()), f"{subject}: {counts.min()} trial of class {classes[counts.argmin()]}"
        if smallest < 2:
            notes.append(why)
            continue
        k = min(d.folds or 5, smallest)
        if d.folds and k < d.folds:
            notes.append(f"{why}s: {k} folds instead of {d.folds}")
        fold = stratified_folds(labels, k, d.rng)[codes(d.table, rows, TRIAL)]
        parts += [Part(f"{subject}:{i}", rows[fold != i], rows[fold == i], TRIAL, subject) for i in range(k)]
    return parts, notes


PROTOCOL = Protocol(
    name="within_subject",
    question="How well does a model of its own do on new trials of its person?",
    where="in held-out trials of people it was trained on",
    how="each person had a model of their own; whole trials were held out in stratified folds",
    limits="These figures are about people the model knows. They say nothing about a new person.",
    needs="a person with 2 trials or more of each of 2 classes",
    instead="Use leave_one_subject_out, or record more trials.",
    deal=deal,
    personal=True,
    forbids=TRIAL,
)
