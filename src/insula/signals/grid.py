"""The one grid of windows: where the windows of a trial lie, and which of them open the session."""

from __future__ import annotations

import numpy as np
import pandas as pd

from insula.signals.recipe import Recipe
from insula.types import Recording


def window_rows(recording: Recording, index: int, recipe: Recipe) -> pd.DataFrame | None:
    """Lay windows on one trial of a session; None where it is too short for one.

    The first window begins ``recipe.guard_s`` after the trial, the next ones a hop later each. Windows that end within
    the session's opening (its first ``recipe.opening_s``; nothing where the session has a baseline trial) are
    ``reference`` ones, as all of a baseline trial are; a window across the end of the opening belongs to neither part.

    Returns
    -------
    A row a window: subject, session, trial, stimulus, trial_index, start_s and stop_s (session's clock), elapsed_s
    (stop since the session began), hop (index of the window's last hop in its trial), role.
    """
    trial = recording.trials[index]
    begin_s = recording.trials[0].start_s
    rested = any(t.role == "baseline" for t in recording.trials)
    opening_s = begin_s + (0.0 if rested else recipe.opening_s)
    per_window = round(recipe.hops_per_window)
    hops = int(np.floor((trial.stop_s - trial.start_s - recipe.guard_s) / recipe.hop_s + 1e-9))
    if hops < per_window:
        return None
    last = np.arange(per_window - 1, hops)
    stop_s = trial.start_s + recipe.guard_s + (last + 1) * recipe.hop_s
    start_s = stop_s - recipe.window_s
    resting = trial.role == "baseline"
    opens = np.full(len(last), True) if resting else stop_s <= opening_s + 1e-9
    rows = pd.DataFrame(
        {
            "subject": trial.subject,
            "session": trial.session,
            "trial": trial.trial,
            "stimulus": trial.stimulus,
            "trial_index": index,
            "start_s": start_s,
            "stop_s": stop_s,
            "elapsed_s": stop_s - begin_s,
            "hop": last,
            "role": np.where(opens, "reference", "scored").astype(object),
        }
    )
    return rows[opens | (start_s >= opening_s - 1e-9)]
