"""Many networks in one evaluation: the same windows and folds, baselines once, each like it is alone."""

from __future__ import annotations

from typing import Any

import pytest
from small_cohort import windows

from insula.errors import InputError
from insula.evaluation.experiment import experiment_from
from insula.evaluation.run import Evaluation, evaluate
from insula.explain import Evaluated
from insula.explain.energy import energy
from insula.explain.facts import gather
from insula.report import render


def run(model: str, *others: str) -> Evaluation:
    tables: dict[str, Any] = {
        "data": {"name": "manifest"},
        "model": {"name": model},
        "protocol": {"name": "leave_one_subject_out"},
        "compare": {"models": others, "rows": ["majority"], "variants": [], "session": False},
        "train": {"epochs": 1, "batch_trials": 6},
    }
    return evaluate(windows(), experiment_from(tables))


@pytest.mark.slow
def test_every_network_is_a_row_on_the_same_windows() -> None:
    both = run("tcn", "liquid")
    result = both.result
    assert [s.name for s in result.systems if s.kind == "model"] == ["tcn", "liquid"]
    assert [s.name for s in result.systems].count("majority") == 1
    rows = [result.of(name)[["subject", "trial", "stop_s"]].reset_index(drop=True) for name in ("tcn", "liquid")]
    assert rows[0].equals(rows[1])
    alone = run("liquid").result
    assert result.of("liquid")["p_tense"].tolist() == alone.of("liquid")["p_tense"].tolist()
    facts = gather(result)
    assert facts.headline.system == "tcn"
    text = render(result)
    assert "Liquid fusion network" in text
    assert "Temporal convolution" in text
    found = energy(Evaluated(result, windows(), both.models), runs=1)
    assert found is not None
    sheets = {one.system: one for one in found.rows}
    assert sheets["liquid"].macs != sheets["tcn"].macs


def test_a_network_that_cannot_read_the_data_is_refused_before_any_fit() -> None:
    with pytest.raises(InputError, match="model eegnet on eda, bvp, hr; expected eeg"):
        run("liquid", "eegnet")
    with pytest.raises(InputError, match="liqid"):
        run("liquid", "liqid")
