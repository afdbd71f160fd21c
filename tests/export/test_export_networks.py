"""Every registered network either exports and answers as PyTorch does, or says why it cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures_networks import windows_for

from insula.errors import InputError
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.models import MODELS, card

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'insula[onnx]'")
pytest.importorskip("onnxscript", reason="onnxscript is not installed: pip install 'insula[onnx]'")

from insula.export.step_model import StepModel
from insula.export.writing import export, predict


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(n for n in MODELS if not card(n).not_exportable))
def test_what_is_exportable_answers_the_same(name: str, tmp_path: Path) -> None:
    windows = windows_for(name)
    estimator = Estimator(EstimatorConfig(model=name, normaliser="population")).initialise(windows)
    done = export(estimator, tmp_path / "out", int8=False)
    rows = windows.scored.take(np.arange(12))
    found = predict(StepModel(done.folder), estimator, rows)
    np.testing.assert_allclose(found, estimator.predict_proba(rows), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(n for n in MODELS if card(n).not_exportable))
def test_what_is_not_exportable_says_so_before_any_work(name: str, tmp_path: Path) -> None:
    estimator = Estimator(EstimatorConfig(model=name, normaliser="population")).initialise(windows_for(name))
    with pytest.raises(InputError, match="is not exportable because"):
        export(estimator, tmp_path / "out", int8=False)
    assert not (tmp_path / "out").exists()
