"""Windows from arrays, as a frame, as a torch Dataset, and how nouns look in a notebook."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_cohort import recording, scored, windows
from torch.utils.data import DataLoader

import insula
from insula.errors import InputError


def made(**changes):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 2, 64)).astype(np.float32)
    options = {"rate_hz": 32.0, "channels": ["A", "B"], **changes}
    return x, insula.Windows.from_arrays(x, ["a", "b"] * 6, ["p"] * 6 + ["q"] * 6, **options)


def test_samples_come_back_as_they_were_and_features_have_names() -> None:
    x, data = made()
    values, observed = data.signals()
    np.testing.assert_array_equal(values["eeg"], x)
    assert observed["eeg"].all()
    assert data.schema.classes == ("a", "b")
    assert data.y.tolist() == [0, 1] * 6
    assert data.groups.tolist() == ["p"] * 6 + ["q"] * 6
    frame = data.frame()
    assert frame.shape == data.shape
    assert all(c.startswith("eeg.") for c in frame.columns)
    assert frame.loc["q"].shape[0] == 6
    np.testing.assert_array_equal(frame.to_numpy(), data.features()["eeg"])


def test_windows_of_one_trial_stay_together() -> None:
    _, data = made(trials=[0, 0, 1, 1, 2, 2] * 2)
    _, alone = made()
    assert len(data.table.groupby(["subject", "trial"])) == 6
    assert len(alone.table.groupby(["subject", "trial"])) == 12
    assert (data.table["hop"].to_numpy() == np.tile([0, 1], 6)).all()
    x, _ = made()
    np.testing.assert_array_equal(data.signals()[0]["eeg"], x)


def test_indexing_like_an_array() -> None:
    data = made()[1].scored
    assert data[[2, 3]].y.tolist() == [0, 1]
    assert data[np.arange(len(data)) < 2, ...].y.tolist() == [0, 1]
    assert len(data[2:5]) == 3
    assert len(data[4]) == 1
    with pytest.raises(InputError, match="frame"):
        data[:, 2]


def test_a_torch_dataset_serves_samples_and_labels() -> None:
    x, data = made()
    values, labels = next(iter(DataLoader(data.dataset("eeg"), batch_size=4)))
    np.testing.assert_array_equal(values.numpy(), x[:4])
    assert labels.tolist() == [0, 1, 0, 1]
    assert set(next(iter(data.dataset()))[0]) == {"eeg"}
    with pytest.raises(InputError, match="eeg"):
        data.dataset("eda")


@pytest.mark.parametrize("change", [{"channels": ["A"]}, {"trials": ["t"]}])
def test_what_does_not_fit_is_named(change) -> None:
    with pytest.raises(InputError, match="expected"):
        made(**change)


def test_numbers_make_a_continuous_target() -> None:
    x = np.zeros((4, 1, 32), np.float32)
    data = insula.Windows.from_arrays(x, [0.5, 1.5, 2.0, 3.0], list("aabb"), rate_hz=32, channels=["A"])
    assert data.schema.continuous


def test_nouns_are_readable_in_a_notebook() -> None:
    data = scored(windows())
    assert "scored" in repr(data)
    assert "<table>" in data._repr_html_()
    one = recording("ann", trials=2)
    assert len(repr(one)) < 400
    assert one.subject in one._repr_html_()
    odd = replace(one, subject="<i>")._repr_html_()
    assert "<i>" not in odd
    from fake_result import emotions

    from insula.explain.picture import Picture

    shown = Picture("p", "A <title>", "words", "<svg>wide</svg>", "<svg>narrow</svg>")._repr_html_()
    assert "A &lt;title&gt;" in shown
    assert "<svg>wide</svg>" in shown

    assert "people" in repr(emotions())
    assert len(repr(emotions())) < 300
    assert emotions()._repr_html_().count("<tr>") == len(emotions().systems)
