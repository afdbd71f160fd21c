"""`import insula` and `insula --help` cost next to nothing; the public names are all there."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import insula

HEAVY = ("torch", "sklearn", "neurokit2", "pyriemann", "numba", "matplotlib", "mne")
SHOW = f"; import sys; print([m for m in {HEAVY!r} if m in sys.modules])"


def python(code: str) -> tuple[str, float]:
    """Run code in a fresh interpreter; return its output and the processor seconds of the child."""
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=500)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    "code",
    [
        "import insula",
        "import insula.types, insula.errors, insula.signals.recipe, insula.evaluation.experiment",
        "import insula.cli",
        "import sys; sys.argv = ['insula', '--help']\n"
        "from insula.cli import main\ntry: main()\nexcept SystemExit: pass\n0",
        "import sys; sys.argv = ['insula', 'evaluate', '--help']\n"
        "from insula.cli import main\ntry: main()\nexcept SystemExit: pass\n0",
    ],
)
def test_nothing_heavy_is_loaded_and_it_takes_less_than_a_second(code: str) -> None:
    out, seconds = python(code + SHOW)
    assert out.splitlines()[-1] == "[]"
    assert seconds < 1.0


def test_data_and_protocols_load_nothing_heavy() -> None:
    out, _ = python("import insula.data, insula.protocols.protocols; insula.data.info('simulate'); dir(insula)" + SHOW)
    assert out.strip() == "[]"


def test_help_names_every_command() -> None:
    done = subprocess.run([sys.executable, "-m", "insula", "--help"], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0
    for command in ("demo", "data", "evaluate", "train", "predict", "explain", "report", "models", "audit"):
        assert command in done.stdout


def test_every_public_name_exists_and_is_listed() -> None:
    for name in insula.__all__:
        assert getattr(insula, name) is not None
        assert name in dir(insula)
    wanted = (
        "load describe cut Recipe SignalRecipe Target Estimator EstimatorConfig TrainConfig ClassicalEstimator "
        "Experiment read_experiment evaluate run_experiment Result simulate split audit MODELS build errors"
    )
    assert set(wanted.split()) <= set(insula.__all__)
    with pytest.raises(AttributeError, match="no attribute 'evalute'"):
        _ = insula.evalute  # type: ignore[attr-defined]


def test_modules_are_reached_by_name() -> None:
    out, _ = python("import insula; print(insula.data.info('simulate').name, insula.errors.InsulaError.__name__)")
    assert out.strip() == "simulate InsulaError"


def test_names_for_editors_and_at_run_time_agree() -> None:
    homes = {name: home for home, names in insula._HOMES.items() for name in names}
    assert set(homes) | set(insula._MODULES) == set(insula.__all__)
    for name, home in homes.items():
        assert getattr(insula, name) is getattr(importlib.import_module(f"insula.{home}"), name)
    source = Path(insula.__file__).read_text(encoding="utf-8").split("if TYPE_CHECKING:")[1].split("__version__")[0]
    for name, home in homes.items():
        line = next(one for one in source.splitlines() if one.strip().startswith(f"from insula.{home} import "))
        assert name in line.split("import ")[1].replace(" ", "").split(",")
