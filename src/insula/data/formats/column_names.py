"""What the name of a column says: a time, a counter, a label, a value of the device itself, or a modality.

One vocabulary for every reader of tables whose columns are not fixed. Names of sensors are those that the exports of
Empatica, Muse, Emotiv, OpenBCI, Polar, Shimmer, BITalino, Garmin and Fitbit use, and plain words for them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from insula.types import MODALITIES

TIME, COUNTER, LABEL, DEVICE = "time", "counter", "label", "device"
"""Kinds of columns that are never channels; other kinds are modalities, and "" where the name says nothing."""


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TIME = _set(
    "time times timestamp timestamps timestart datetime date dates clock unix utc posix posixct elapsed "
    "localtime t seconds second secs sec s millis milliseconds microseconds nanoseconds ms us ns zeit uhrzeit "
    "zeitstempel tijd tiempo heure hora tempo epoch datenum datum sekunden minuten uptime"
)
_COUNTER = _set(
    "index idx counter count unnamed rownames rowname rowid row rows nseq seq sequence packet packets frame "
    "frames nr no number obs line sample samples samplenumber sampleindex id ids"
)
_LABEL = _set(
    "label labels class classes condition conditions emotion emotions marker markers trigger triggers stim "
    "stimulus status event events annotation annotations valence arousal dominance liking task phase block "
    "trial trials target y rating ratings answer response stress participant participants subject subjects "
    "session person user kommentar comment bedingung aufgabe reiz stimmung bewertung antwort sitzung"
)
_DEVICE = _set(
    "battery interpolated cq eq quality rssi signal elements headbandon hsi gyro gyroscope gyr magnetometer "
    "mag steps calories speed pace altitude latitude longitude distance cadence motor mot q0 q1 q2 q3 "
    "validation other missing timezone confidence range batterie akku distanz geschwindigkeit hohe schritte"
)
_SENSORS: Mapping[str, frozenset[str]] = {
    "eeg_power": _set("delta theta alpha beta betal betah lowbeta highbeta gamma pow bandpower"),
    "acc": _set("acc accel accelerometer acceleration accx accy accz beschleunigung"),
    "eda": _set(
        "eda gsr scl scr conductance skinconductance electrodermal usiemens galvanic hautleitwert hautleitfahigkeit "
        "hautwiderstand"
    ),
    "bvp": _set("bvp"),
    "ppg": _set("ppg pleth plethysmogram photoplethysmogram"),
    "ibi": _set("ibi rr rri nn rrinterval interbeat"),
    "hr": _set("hr bpm heartrate pulserate heart ppgtohr ecgtohr herzfrequenz pulsfrequenz herzrate"),
    "ecg": _set("ecg ekg"),
    "spo2": _set("spo2 oxygen saturation sao2"),
    "resp": _set("resp rsp respiration breathing respr atmung atem"),
    "emg": _set("emg emgs"),
    "eog": _set("eog heog veog"),
    "eye": _set("pupil gaze fixation pupildiameter"),
    "temp": _set("temp temperature temperatur skt skintemp skintemperature hauttemperatur"),
    "eeg": _set("eeg exg"),
}
_ELECTRODE = re.compile(
    r"(fp|af|f|ft|fc|t|c|tp|cp|p|po|o|i|n|a|m|aff|ffc|ftt|fcc|ccp|cpp|ttp|tpp|ppo|poo)(z|[0-9]{1,2}h?)"
)
_SAME: Mapping[str, tuple[str, ...]] = {
    "bvp": ("ppg",), "ppg": ("bvp",), "face_temp": ("temp",), "ecg": ("eeg",), "emg": ("eeg",), "eog": ("eeg",),
    "ibi": (), "hr": (),
}  # fmt: skip
"""Kinds that serve a modality where no column of its own kind is there (an ExG channel may hold any of four)."""
_UNIT = re.compile(r"[\[(]\s*([^\])]*?)\s*[\])]\s*$")
UNIT_WORDS: Mapping[str, str] = {
    "microsiemens": "uS", "µs": "uS", "μs": "uS", "us": "uS", "usiemens": "uS", "microvolt": "uV", "microvolts": "uV",
    "uv": "uV", "µv": "uV", "μv": "uV", "millivolt": "mV", "millivolts": "mV", "mv": "mV", "volt": "V", "volts": "V",
    "v": "V", "celsius": "degC", "degrees celsius": "degC", "degree celsius": "degC", "°c": "degC", "degc": "degC",
    "c": "degC", "deg c": "degC", "bpm": "1/min", "beats per minute": "1/min", "beats/min": "1/min", "1/min": "1/min",
    "seconds": "s", "second": "s", "s": "s", "milliseconds": "ms", "ms": "ms", "g": "g", "mg": "mg",
    "m/s^2": "m/s^2", "m/s2": "m/s^2", "m/(s^2)": "m/s^2", "m/s²": "m/s^2", "percent": "%", "%": "%",
    "fahrenheit": "degF", "degrees fahrenheit": "degF", "°f": "degF", "degf": "degF", "kelvin": "K", "k": "K",
    "nanosiemens": "nS", "ns": "nS", "millisiemens": "mS", "siemens": "S", "kiloohm": "kOhm", "kohm": "kOhm",
    "kohms": "kOhm", "ohm": "Ohm", "ohms": "Ohm", "a.u.": "a.u.", "au": "a.u.", "raw": "a.u.", "counts": "a.u.",
    "arbitrary": "a.u.", "arbitrary units": "a.u.", "adc": "a.u.",
}  # fmt: skip
"""Unit in words or other spellings (lower case) -> how insula writes it (``us`` of a signal is microsiemens)."""
CONVERSIONS: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "eda": {"uS": (1.0, 0.0), "nS": (1e-3, 0.0), "mS": (1e3, 0.0), "S": (1e6, 0.0)},
    "temp": {"degC": (1.0, 0.0), "degF": (5 / 9, -160 / 9), "K": (1.0, -273.15)},
    "face_temp": {"degC": (1.0, 0.0), "degF": (5 / 9, -160 / 9), "K": (1.0, -273.15)},
    "acc": {"g": (1.0, 0.0), "mg": (1e-3, 0.0), "m/s^2": (1 / 9.80665, 0.0), "g/64": (1 / 64, 0.0)},
    "ibi": {"s": (1.0, 0.0), "ms": (1e-3, 0.0)},
}
"""Modality -> unit -> (factor, offset) to the unit that insula uses for it; voltages are converted in `sources`."""


_BY_UNIT: Mapping[str, str] = {"1/min": "hr", "uS": "eda", "degC": "temp", "degF": "temp"}
"""What a column measures whose name says nothing but its unit (``Puls (1/min)``, ``Kanal 2 [µS]``)."""


def words(name: str) -> tuple[str, ...]:
    """Split a column's name into lower-case words: ``EEG.AF3``, ``heartRate (bpm)``, ``sensor timestamp [ns]``."""
    bare = _UNIT.sub("", name.strip())
    plain = "".join(c for c in unicodedata.normalize("NFD", bare) if not unicodedata.combining(c))  # ä is a
    parts = re.sub(r"([a-z])([A-Z])", r"\1 \2", plain).lower()
    return tuple(word for word in re.split(r"[^a-z0-9µμ]+", parts) if word)


def unit_in(name: str) -> str | None:
    """Return the unit that a name ends with in brackets (``EDA (microsiemens)``), as insula writes it, or None."""
    match = _UNIT.search(name)
    return UNIT_WORDS.get(match[1].lower()) if match and match[1] else None


def unit(text: str) -> str:
    """Return a unit as insula writes it; one it does not know stays as it is."""
    return UNIT_WORDS.get(" ".join(text.strip().lower().split()), text.strip())


def kind(name: str) -> str:
    """Say what a column is by its name: one of TIME, COUNTER, LABEL, DEVICE, a modality, or "" (cannot tell)."""
    told = words(name)
    joined = "".join(told)
    if not told:
        return COUNTER  # a column without a name is an index
    if joined in ("timestamp", "timestamps", "timestampunix"):
        return TIME
    if any(word in _TIME or "timestamp" in word for word in told) and not (told[0] in _DEVICE and len(told) > 2):
        return TIME
    for modality, known in _SENSORS.items():
        if known.intersection(told) or joined in known:
            if "sample" in told or "counter" in told or "interpolated" in told or "battery" in told:
                return COUNTER if "battery" not in told else DEVICE
            if {"cq", "rawcq", "quality", "rssi", "clipping", "range"}.intersection(told):
                return DEVICE
            if modality == "eeg" and told[-1] == "annotations":
                return LABEL
            return modality
    if _ELECTRODE.fullmatch(told[-1]) and (len(told) == 1 or told[0] in ("raw", "eeg", "channel", "ch")):
        return "eeg"
    if _DEVICE.intersection(told):
        return DEVICE
    if (measured := _BY_UNIT.get(unit_in(name) or "")) is not None:
        return measured
    if _COUNTER.intersection(told):
        return COUNTER
    if _LABEL.intersection(told):
        return LABEL
    return joined if joined in MODALITIES else ""


def kind_for(name: str, modality: str) -> str:
    """Say what a column is where a modality is looked for: an axis ``y`` belongs to the acceleration, else a label."""
    if modality == "acc" and words(name)[-1:] in (("x",), ("y",), ("z",)):
        found = kind(" ".join(words(name)[:-1]))
        return "acc" if found in ("", COUNTER, "acc") else found
    return kind(name)


def serves(modality: str, found: str) -> bool:
    """Tell whether a column of one kind can hold a modality."""
    return found == modality or found in _SAME.get(modality, ())
