"""Reader of native Empatica E4 session folders, without labels: for trying things out and for prediction."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from insula.data.formats.empatica import E4_KINDS, read_session
from insula.data.formats.tables import chosen, require_folder
from insula.data.info import DataInfo, Problem, collecting, note
from insula.errors import DataError
from insula.signals.recipe import Recipe
from insula.types import Recording, Trial

INFO = DataInfo(
    name="e4",
    title="Empatica E4 session folders in native CSV form (EDA, BVP, TEMP, HR, IBI, ACC)",
    licence="your own",
    where="the folder the E4 or its export unpacks to; or a folder of such folders, one a person",
    targets={},
    recipe=Recipe(window_s=60.0, hop_s=10.0, guard_s=10.0, opening_s=0.0).only(("eda", "bvp", "temp", "hr")),
    own=True,
)


def read(
    root: Path, *, subjects: Collection[str] | None = None, problems: list[Problem] | None = None
) -> list[Recording]:
    """Read one session folder, or a folder of them (one person each, named after its folder).

    A session is one unlabelled trial; clock 0 is the start of its first file. To add labels, list the files with
    ``rate`` = ``e4`` in a manifest.
    """
    folders = _folders(root)
    recordings: list[Recording] = []
    for subject in chosen(subjects, folders):
        with collecting(problems):
            session = read_session(folders[subject], ("eda", "bvp", "temp", "hr", "ibi", "acc"), problems)
            note(problems, folders[subject], "no labels: the session is one unlabelled trial")
            trial = Trial(subject, "only", "session", 0.0, session.duration_s, session.signals)
            provenance = {"data": INFO.name, "files": str(folders[subject]), "start_unix_s": str(session.start_unix_s)}
            recordings.append(Recording(subject, "only", (trial,), {}, provenance))
    return recordings


def people(root: Path) -> list[str]:
    """Return the names of the people with a session folder."""
    return list(_folders(root))


def _folders(root: Path) -> dict[str, Path]:
    require_folder(root, "E4 files such as EDA.csv, or one folder of them a person")
    folders = (
        {root.resolve().name: root} if _is_session(root) else {d.name: d for d in root.iterdir() if _is_session(d)}
    )
    if not folders:
        raise DataError(
            f"{root} holds no E4 session; expected {', '.join(k.file for k in E4_KINDS.values())} in it or in its "
            "folders. Give the folder that the E4's export was unpacked to."
        )
    return folders


def _is_session(folder: Path) -> bool:
    return folder.is_dir() and any((folder / kind.file).exists() for kind in E4_KINDS.values())
