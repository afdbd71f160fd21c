"""The models that an experiment leaves: trained on everything labelled, one for all people or one a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from insula.errors import InputError, unknown_name
from insula.evaluation.calibration import CURVE, usual_of
from insula.evaluation.elders import final_teacher, seen_by
from insula.evaluation.experiment import Experiment
from insula.evaluation.finished import Finished
from insula.evaluation.rows import classical_row, model_config
from insula.evaluation.run import Evaluation
from insula.evaluation.story import records
from insula.files import person_folders, replacing
from insula.learning.classical_rows import CLASSICAL
from insula.learning.estimator import Estimator
from insula.learning.learner import Learner
from insula.learning.personal.personal import STRATEGIES
from insula.learning.prior import WithPrior
from insula.protocols.fold import default_normaliser, terms_of
from insula.protocols.own_median import decided
from insula.protocols.protocol import TRIAL
from insula.windows.table import Windows

Told = Callable[[int, int], None]


def save_models(
    windows: Windows,
    experiment: Experiment,
    done: Evaluation,
    folder: Path,
    finished: Finished,
    told: Callable[[str], Told | None] = lambda _: None,
) -> None:
    """Train on everything that is labelled and save: one model, or one a person under a personal protocol.

    A person's model has other people's prior where the first row has it. ``folder`` belongs to an earlier result, if
    it is there, and is replaced. A person with one class has no model. Models are in ``finished`` as soon as they are
    trained; ``told`` gives what hears how far something is.
    """
    config = replace(done.models[0].model.config, teacher=final_teacher(experiment))
    data_hash = str(done.result.provenance["data_hash"])
    scored = windows.scored
    with replacing(folder) as work:
        if not experiment.protocol.models_a_person:
            fit = partial(Estimator(config).fit, scored, progress=told("the saved model"))
            model = finished.model("model", 0, fit)
            model.save(work, {**story_of(experiment, scored, data_hash), **_liked(done)})
            return
        hear = told("personal models")
        people = sorted(scored.table["subject"].unique())
        folders = person_folders(people)
        for i, person in enumerate(people):
            own = decided(_of(scored, person))
            if own.schema.continuous or len(set(own.y.tolist())) > 1:
                row = _lent(Estimator(config), experiment, person, done.models[0].split.group)
                learned = scored if isinstance(row, WithPrior) else own
                model = finished.model("model", i, partial(row.fit, learned))
                story = story_of(experiment, learned, data_hash, person if isinstance(row, WithPrior) else "")
                model.save(work / folders[person], story)
            if hear is not None:
                hear(i + 1, len(people))


def _liked(done: Evaluation) -> dict[str, str]:
    """The strategy that inner people chose, for `insula personalise`."""
    curve = done.result.analyses.get(CURVE)
    alone = [] if curve is None else [s for s in curve["chosen"].values() if not STRATEGIES[s].others]
    return {"strategy": usual_of(alone)} if alone else {}


def _of(windows: Windows, person: str) -> Windows:
    return windows.take((windows.table["subject"].astype(str) == person).to_numpy())


def final_row(experiment: Experiment, windows: Windows, device: str, person: str = "") -> Learner:
    """The experiment's row, not fitted; with a ``person`` theirs times what the others taught.

    Raises InputError for a prior of nobody in particular, a person without one, and a person who is not there.
    """
    model = experiment.model
    if bool(model.prior) != bool(person):
        raise InputError(
            f"a model with prior {model.prior} of person {person!r}; expected both or none of them, since a prior is "
            "what others taught beside one person's own model. Name --person and --prior, or neither."
        )
    people = windows.table["subject"].astype(str).unique()
    if person and person not in people:
        raise unknown_name("person", person, people)
    terms = terms_of(windows)
    group = TRIAL if person else terms.group
    usual = default_normaliser(windows, personal=True) if person else terms.normaliser
    normaliser = model.normaliser or usual
    if model.name in CLASSICAL:
        return _lent(classical_row(experiment, model.name, normaliser), experiment, person, group)
    config = replace(model_config(experiment, normaliser, group, device), teacher=final_teacher(experiment))
    return _lent(Estimator(config), experiment, person, group)


def _lent(row: Learner, experiment: Experiment, person: str, group: tuple[str, ...]) -> Learner:
    weight = experiment.model.prior
    return WithPrior(row, person, weight, group=group, seed=experiment.seed) if weight else row


def story_of(experiment: Experiment, learned: Windows, data_hash: str, person: str = "") -> dict[str, Any]:
    """What goes beside a model: what and whom it learned from, so that `insula forget` can tell.

    Of a ``person``'s model with other people's prior the ``subjects`` are that person alone, and all are ``seen``.
    """
    seen = seen_by(experiment, [str(p) for p in learned.table["subject"].unique()])
    subjects = [person] if person else list(seen[experiment.data.name])
    return {
        "experiment": experiment.to_dict(), "data_hash": data_hash, "people": len(subjects), "subjects": subjects,
        "seen": records(seen), **({"person": person} if person else {}),
    }  # fmt: skip
