"""Power by simulation: it knows the truth it was drawn from, and agrees with Student's t."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import nct, t
from typer.testing import CliRunner
from windows_double import make_table, predictions

from insula.errors import InputError
from insula.evaluation.power import pilot_of, power
from insula.evaluation.results import Result
from insula.evaluation.system import System


def pilot_result(people=200, trials=8, windows=10, mean=0.65, between=0.08, seed=0, clock=0.5):
    """A result whose people's chances of a right window are normal around ``mean``."""
    rng = np.random.default_rng(seed)
    table = make_table(people=people, trials=trials, windows=windows, seed=seed)
    y = table["y"].to_numpy()
    own = np.clip(rng.normal(mean, between, people), 0, 1)[table["subject"].str[1:].astype(int)]
    frames = []
    for name, chance in (("liquid", own), ("clock", np.full(len(y), clock))):
        frames.append(predictions(table, np.where(rng.random(len(y)) < chance, y, 1 - y), system=name))
    systems = (System("liquid", "Liquid", "model"), System("clock", "Clock", "baseline"))
    return Result("state", ("a", "b"), {"name": "within_subject", "leaky": False}, systems, pd.concat(frames))


@pytest.mark.slow
def test_a_large_pilot_gives_back_the_spreads_it_was_drawn_from():
    pilot = pilot_of(pilot_result(people=400, between=0.08))
    assert pilot.effect == pytest.approx(0.15, abs=0.015)
    assert pilot.between_sd == pytest.approx(0.08, abs=0.015)
    # a trial is the mean of 10 windows that are right with a chance of about .65
    assert pilot.within_sd == pytest.approx(np.sqrt(0.65 * 0.35 / 10), abs=0.015)
    assert pilot.lo < 0.15 < pilot.hi
    assert pilot_of(pilot_result(people=400, between=0.0)).between_sd < 0.03


def test_power_agrees_with_the_noncentral_t():
    pilot = pilot_of(pilot_result(people=400))
    plan = power(pilot, people=(6, 10, 20), trials=(4,), effect=0.06, studies=6000)
    spread = np.sqrt(pilot.between_sd**2 + np.mean([np.mean(r**2) for r in pilot.residuals]) / (2 * 4))
    for cell in plan.cells:
        n = cell.people
        expected = 1 - nct.cdf(t.ppf(0.975, n - 1), n - 1, 0.06 * np.sqrt(n) / spread)
        assert cell.power == pytest.approx(expected, abs=0.03)


def test_without_an_effect_studies_fail_as_often_as_they_should():
    plan = power(pilot_of(pilot_result()), people=(12,), trials=(4,), effect=0.0, studies=8000)
    assert plan.cells[0].power == pytest.approx(0.025, abs=0.008)


def test_more_people_and_trials_give_more_power():
    plan = power(pilot_of(pilot_result()), people=(4, 8, 16, 32, 64), trials=(1, 4), effect=0.05)
    table = plan.table()
    assert (table.diff().dropna() > 0).all().all()
    assert (table[4] > table[1]).all()
    assert plan.needed[4] <= plan.needed[1]
    first = next(c for c in plan.cells if c.trials_per_class == 4 and c.people == plan.needed[4])
    assert first.power >= 0.8
    assert power(pilot_of(pilot_result()), people=(3,), trials=(1,), effect=0.001).needed == {1: None}


def test_another_row_is_compared_trial_by_trial():
    result = pilot_result(clock=0.6)
    assert pilot_of(result, against="clock").effect == pytest.approx(0.05, abs=0.02)
    assert pilot_of(result, "clock").effect == pytest.approx(0.10, abs=0.02)


def test_mistakes_are_errors():
    with pytest.raises(InputError, match="2 people who have all classes"):
        pilot_of(pilot_result(people=2))
    with pytest.raises(InputError, match="one trial a class"):
        pilot_of(pilot_result(people=5, trials=2))
    pilot = pilot_of(pilot_result(people=20))
    with pytest.raises(InputError, match=r"wanted power 1\.5"):
        power(pilot, wanted=1.5)
    with pytest.raises(InputError, match="2 people"):
        power(pilot, people=(2,))
    with pytest.raises(InputError, match="Did you mean 'liquid'"):
        pilot_of(pilot_result(), "liquids")


def test_the_command_prints_a_table_and_json(tmp_path):
    from insula.cli import app

    pilot_result(people=12).save(tmp_path)
    run = CliRunner().invoke(app, ["power", str(tmp_path), "--studies", "200"])
    assert run.exit_code == 0, run.output
    assert "8 trials a class" in run.output
    assert "power 0.8 with 4 trials a class" in run.output
    run = CliRunner().invoke(app, ["power", str(tmp_path), "--studies", "200", "--json", "--against", "clock"])
    found = json.loads(run.output)
    assert found["pilot"]["against"] == "clock"
    assert found["needed"]
    run = CliRunner().invoke(app, ["power", str(tmp_path), "--studies", "200", "--effect", "-0.1"])
    assert "an effect of -0.100: no number of people shows it" in run.output
    assert "more than" not in run.output
