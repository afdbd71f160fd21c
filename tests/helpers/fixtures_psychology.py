"""A psychologist's study: a file of EDF a person with annotated films, ratings and a questionnaire in Excel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

FILMS = ("calm", "sad", "funny") * 2


def write_psychology(root: Path, people: int = 20, film_s: float = 16.0, rate_hz: float = 64.0, seed: int = 0) -> None:
    """Two electrodes, films in an order of each one's own; the second one's alpha waves are highest in calm films."""
    import mne

    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    ratings, traits = [], []
    seconds = len(FILMS) * (film_s + 4) + 4
    for k in range(people):
        person = f"vp{k + 1:02d}"
        films = rng.permutation(FILMS)
        onsets = 4 + np.arange(len(FILMS)) * (film_s + 4)
        t = np.arange(int(seconds * rate_hz)) / rate_hz
        values = rng.normal(size=(2, len(t))) * 8e-6
        for film, onset in zip(films, onsets, strict=True):
            shown = (t >= onset) & (t < onset + film_s)
            wave = np.sin(2 * np.pi * 10 * t[shown]) * {"calm": 12e-6, "sad": 6e-6, "funny": 1e-6}[str(film)]
            values[1, shown] += wave
        raw = mne.io.RawArray(values, mne.create_info(["Fp1", "O1"], rate_hz, "eeg"), verbose="ERROR")
        raw.set_annotations(mne.Annotations(onsets, [film_s] * len(FILMS), list(films)))
        mne.export.export_raw(root / f"{person}.edf", raw, verbose="ERROR")
        for i, film in enumerate(films):
            felt = {"calm": 6, "sad": 2, "funny": 8}[str(film)] + int(rng.integers(-1, 2))
            ratings.append({"code": person, "trial": i + 1, "valence": felt})
        traits.append({"code": person, **{f"BFI_{i}": int(rng.integers(1, 6)) for i in range(1, 11)}})
    pd.DataFrame(ratings).to_excel(root / "ratings.xlsx", index=False)
    pd.DataFrame(traits).to_excel(root / "personality.xlsx", index=False)
