"""People, sessions and trials from the names of folders and files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from insula.data.formats.column_names import kind
from insula.types import MODALITIES

_PERSON = re.compile(
    r"(?:sub|subj|subject|s|p|vp|vpn|pp|ppt|part|participant|person|proband|user|patient|id)[-_ ]?0*\d+[a-z]?",
    re.I,
)
_SESSION = re.compile(
    r"(?:ses|sess|session|day|visit|tag|week|wave|date)[-_ ]?\d+|pre|post|morning|evening|t[12]|"
    r"(?:\d{4}-?\d\d-?\d\d|\d\d\.\d\d\.\d{4})(?:[-_T ]+\d\d[-_:.h]?\d\d(?:[-_:.m]?\d\d)?)?|"
    r"\d{9,13}[-_][a-z0-9]+",  # an E4 names its sessions by unix time and serial number
    re.I,
)
_AGAIN = re.compile(r"\s*(?:\(\d+\)|\((?:copy|kopie)\)|- ?(?:copy|kopie))\s*$", re.I)
"""What a file system adds to the name of a second download or copy."""
_TRIAL = re.compile(r"(?:trial|clip|video|film|run|block|task|stim|stimulus|epoch|match|song|picture)[-_ ]?\w*", re.I)
_DEVICES = (
    "empatica", "e4", "embrace", "embraceplus", "polar", "h10", "muse", "shimmer", "emotiv", "epoc", "openbci", "csv",
    "biosemi", "samsung", "garmin", "fitbit", "bitalino", "opensignals", "raw", "data", "signal", "signals", "export",
    "recording", "eeg", "set", "rec", "monitor", "wristband", "watch",
)  # fmt: skip
INNERMOST = "the folder of the file"


@dataclass(frozen=True)
class Place:
    """Whose file it is, in which session, and what tells the trial; each with the part of the path that says so."""

    subject: str
    session: str
    trial: str


@dataclass(frozen=True)
class Guess:
    """The places of all files, and in words how people, sessions and trials were told apart."""

    places: dict[str, Place]
    why: tuple[str, ...]


def _parts(file: str) -> dict[str, str]:
    """Return the parts of a path by slot: folders by depth, words of the name by position."""
    path = PurePosixPath(file)
    folders = path.parts[:-1]
    out = {f"folder {i + 1}": part for i, part in enumerate(folders[:-1])}
    out |= {INNERMOST: folders[-1]} if folders else {}
    stem = path.name.removesuffix(path.suffix)
    tokens = [t for t in re.split(r"[_ ]+|(?<=\D)\.(?=\D)", stem) if t]
    words = [t for t in tokens if not _is_sensor(t)]
    return {**out, **{f"word {i + 1} of the file's name": t for i, t in enumerate(words)}}


def _is_sensor(word: str) -> bool:
    return word.lower() in _DEVICES or (kind(word) in MODALITIES and not re.fullmatch(r"[A-Za-z]{1,2}\d+", word))


def places(root: Path, files: Sequence[str]) -> Guess:
    """Guess person, session and trial of each file (paths inside ``root``)."""
    parts = {file: _parts(file) for file in files}
    slots = list(dict.fromkeys(slot for one in parts.values() for slot in one))
    varied = {s: {p[s] for p in parts.values() if s in p} for s in slots}
    person = _matching(slots, parts, _PERSON) or _repeating(slots, parts, varied)
    session = _matching([s for s in slots if s != person], parts, _SESSION, least=0.1)
    trial = _matching([s for s in slots if s not in (person, session)], parts, _TRIAL)
    rest = [s for s in slots if s not in (person, session, trial) and 1 < len(varied[s]) < max(2, len(files))]
    rest = [s for s in rest if person is None or not _same(parts, s, person)]
    if trial is None and rest and person is not None:
        trial = INNERMOST if INNERMOST in rest else rest[-1] if rest[-1].startswith("folder") else rest[0]
        rest = [s for s in rest if s != trial]
    why = [
        _told(root, "people", person, varied),
        _told(root, "sessions", session, varied),
        _told(root, "trials", trial, varied),
    ]
    found: dict[str, Place] = {}
    above = [s for s in rest if s.startswith("folder") and person is not None and slots.index(s) < slots.index(person)]
    outers = {(p.get(person or "", ""), tuple(p.get(s, "") for s in above)) for p in parts.values()}
    above = above if len(outers) > len({name for name, _ in outers}) else []  # the same name in two of them
    for file, told in parts.items():
        name = told.get(person or "", "") or root.resolve().name
        outer = "-".join(told[s] for s in above if s in told)
        subject = f"{outer}-{name}" if outer and person is not None else name
        found[file] = Place(subject, told.get(session or "", "") or "only", told.get(trial or "", ""))
    if above:
        why[0] += f", with {' and '.join(above)} before it, which differ too"
    return Guess(found, tuple(why))


def _same(parts: dict[str, dict[str, str]], one: str, other: str) -> bool:
    """Tell whether two slots say the same thing twice (``S01/S01_happy.csv``)."""
    pairs = {(p[one], p[other]) for p in parts.values() if one in p and other in p}
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def _matching(
    slots: Sequence[str], parts: dict[str, dict[str, str]], pattern: re.Pattern[str], least: float = 0.6
) -> str | None:
    """Return the first slot that a share of the files has and at which nearly all of those fit a pattern."""
    for slot in slots:
        told = [one[slot] for one in parts.values() if slot in one]
        if (
            told
            and len(told) >= least * len(parts)
            and sum(bool(pattern.fullmatch(_AGAIN.sub("", t))) for t in told) >= 0.8 * len(told)
        ):
            return slot
    return None


def _repeating(slots: Sequence[str], parts: dict[str, dict[str, str]], varied: dict[str, set[str]]) -> str | None:
    """Return the slot with most values among those whose values hold the same kinds of files."""
    fitting = []
    for slot in slots:
        told = [one[slot] for one in parts.values() if slot in one]
        if len(varied[slot]) < 2 or len(told) < 0.8 * len(parts) or _matching([slot], parts, _SESSION):
            continue
        words = sum(bool(re.fullmatch(r"[A-Za-z]{5,}([_-][a-z]+)*", v)) for v in varied[slot])
        fitting.append(
            (len(varied[slot]) - (100 if words == len(varied[slot]) and _conditions(varied[slot]) else 0), slot)
        )
    good = [one for one in fitting if one[0] > 0]
    return max(good, key=lambda one: (one[0], -slots.index(one[1])))[1] if good else None


_CONDITION = re.compile(
    r"baseline|rest|relax|stress|task|stroop|tsst|amusement|meditation|happy|sad|angry|fear|neutral|calm|cognitive|load|"
    r"pre|post|survey|control|video|film|music|training|test|condition|positive|negative|anger|joy|disgust", re.I
)  # fmt: skip


def _conditions(values: set[str]) -> bool:
    return any(_CONDITION.search(v) for v in values)


def _told(root: Path, what: str, slot: str | None, varied: dict[str, set[str]]) -> str:
    if slot is None:
        return {
            "people": f"people: one, called {root.resolve().name} (no name of a folder or file tells people apart)",
            "sessions": "sessions: one a person (no name tells sessions apart)",
            "trials": "trials: no name tells them apart",
        }[what]
    values = sorted(varied[slot])
    return f"{what}: {slot} ({', '.join(values[:4])}{f', ... {len(values)} in all' if len(values) > 4 else ''})"
