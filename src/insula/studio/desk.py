"""The studio at work: takes messages, starts commands, says what the state is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from insula.errors import InputError, InsulaError, unknown_name
from insula.notebook import counted
from insula.studio import commands, found
from insula.studio import messages as m
from insula.studio.jobs import Job, Jobs
from insula.studio.places import named
from insula.studio.remedies import Sheet
from insula.studio.results import told_run
from insula.studio.showing import Showing
from insula.studio.state import Folder, Live, State, Told, Way, work_of
from insula.studio.study import RUNS, Study, load_json
from insula.studio.table import Table, one_line

DEMO = "simulate"
"""The reader of simulated people."""
CHECKED = "check.json"


class Desk:
    """One studio: at most one folder, one command at a time, one live page.

    Parameters
    ----------
    tell : called with the state as JSON whenever it is new, from any thread.
    begin : folder that is opened at the start; with ``fixed`` no other can be chosen.
    data : reader of that folder's data (default: the user's own files in a table).
    demo : folder that simulated people get.
    """

    def __init__(
        self, tell: Callable[[str], None], begin: Path | None, fixed: bool, demo: Path, data: str | None = None
    ) -> None:
        self.tell, self.fixed, self.demo = tell, fixed, demo
        self.study: Study | None = None
        self.jobs = Jobs(self.changed)
        self.showing = Showing(self.changed)
        self._lock = threading.RLock()
        self._read: tuple[object, Told] | None = None
        if begin is not None:
            self._open(begin, data)

    def close(self) -> None:
        """End what is under way and let the folder go."""
        self.jobs.stop()
        self.showing.end()
        if self.study is not None:
            self.study.close()
            self.study = None

    def changed(self) -> None:
        """Tell the state."""
        with self._lock:
            self.tell(msgspec.json.encode(self.state()).decode())

    def take(self, message: m.Message) -> None:
        """Do what a message asks; InsulaError says why not."""
        with self._lock:
            self._act(message)
        self.changed()

    def _act(self, message: m.Message) -> None:
        match message:
            case m.Open():
                self._require_free()
                self._open(named(message.path))
            case m.Demo():
                self._require_free()
                self.demo.mkdir(parents=True, exist_ok=True)
                self._open(self.demo, DEMO)
            case m.Close():
                self._require_free()
                self._close()
            case m.Stop():
                threading.Thread(target=self.jobs.stop, daemon=True).start()
            case m.EndLive():
                self.showing.end()
            case _:
                self._within(self._study(), message)

    def _within(self, study: Study, message: m.Message) -> None:
        match message:
            case m.Draft():
                self._draft(study)
            case m.Check():
                self._check(study)
            case m.Cutting():
                study.kept.cutting = message
                study.save()
                self._check(study)
            case m.Choose():
                self._choose(study, message)
            case m.Train():
                self._train(study)
            case m.Look():
                self._look(study, message)
            case m.GoLive():
                self._live(study, message)
            case m.Export():
                self._export(study, message)
            case _:
                self._edit(study, message)

    def _edit(self, study: Study, message: m.Message) -> None:
        if not study.own:
            raise InputError(f"{study.kept.data} has no table to change; expected own recordings. Open a folder.")
        if self.jobs.running:
            raise InputError("the table is being read; expected nothing under way. Wait for it, or stop it.")
        match message:
            case m.Edit(changes):
                n = len(changes)
                what = (
                    f"{changes[0].column}: {one_line(changes[0].value)[:40] or 'emptied'}" if n == 1 else f"{n} cells"
                )
                study.change(what, lambda t: t.edited(changes))
            case m.Fill(column, value, rows):
                study.change(f"{column}: {one_line(value)[:40]}", lambda t: t.filled(column, value, rows))
            case m.Drop(rows):
                study.change(f"{counted(len(set(rows)), 'row')} dropped", lambda t: t.without(rows))
            case m.DropTrials(trials):
                listed = Sheet(study.table()).of_trials(trials)
                if not listed:
                    raise InputError("no row lists these trials; expected some. Check the recordings again.")
                study.change(f"{counted(len(trials), 'trial')} dropped", lambda t: t.without(listed))
            case m.AddColumn(name):
                study.change(f"column {name} added", lambda t: t.with_column(name))
            case m.Rename(column, name):
                study.change(f"{column} renamed {name}", lambda t: t.renamed(column, name))
            case m.DropColumn(column):
                study.change(f"column {column} dropped", lambda t: t.without_column(column))
            case m.Undo():
                study.go(-1)
            case m.Redo():
                study.go(1)
            case _:
                raise InputError(f"message {type(message).__name__}; expected one of a table. Load the page again.")

    def _require_free(self) -> None:
        if self.fixed:
            raise InputError("another folder; expected the one that the studio was started with. Start another studio.")
        if self.jobs.running:
            raise InputError("work is under way; expected none to leave the folder. Wait for it, or stop it.")

    def _study(self) -> Study:
        if self.study is None:
            raise InputError("no folder is chosen; expected one first. Say where the recordings are.")
        return self.study

    def _open(self, root: Path, data: str | None = None) -> None:
        study = Study.open(root, data)
        self._close()
        self.study = study
        if study.own and study.manifest is None:
            self._draft(study)
        elif self._checked(study) is None:
            self._check(study)

    def _close(self) -> None:
        self.showing.end()
        if self.study is not None:
            self.study.close()
        self.study = None
        self.jobs.job = None

    def _draft(self, study: Study) -> None:
        if not study.own:
            raise InputError(f"{study.kept.data} needs no table; expected own recordings. Go on.")
        there = study.manifest is not None
        if there:
            study.remember("before the new draft", study.table())

        def after(_: Job) -> None:
            study.remember("drafted from the files", study.table())

        command = commands.init(str(study.root), there)
        self.jobs.start("draft", "Looking at your files", command, after, then=lambda: self.take(m.Check()))

    def _check(self, study: Study) -> None:
        mark, table = study.mark(), self._listed(study)

        def after(job: Job) -> None:
            told = found.digest(job.output, str(study.root), table, study.kept.cutting)
            study.write(CHECKED, msgspec.json.encode({"mark": mark, "found": told}))

        command = commands.check(study.kept.data, self._root(study), study.kept.cutting)
        self.jobs.start("check", "Checking your recordings", command, after, accepts=(0, 1))

    def _listed(self, study: Study) -> Table | None:
        """The table that is about to be checked, None where there is none or it cannot be read."""
        try:
            return study.table() if study.own else None
        except InsulaError:
            return None  # the check says what is wrong with it

    def _choose(self, study: Study, choice: m.Choose) -> None:
        from insula.protocols.protocols import PROTOCOLS
        from insula.windows.targets import Target

        if choice.protocol not in PROTOCOLS:
            raise unknown_name("protocol", choice.protocol, PROTOCOLS)
        Target.parse(choice.target)
        study.kept.choice = choice
        study.save()

    def _train(self, study: Study) -> None:
        choice = study.kept.choice
        if choice is None:
            raise InputError("nothing to recognise is chosen; expected a target and a protocol. Choose them first.")
        if self.jobs.running and self.jobs.job is not None and self.jobs.job.kind == "train":
            return  # a second window is no second run
        self.jobs.start("train", "Training", self._training(study, choice), lambda _: None)

    def _training(self, study: Study, choice: m.Choose) -> list[str]:
        out = study.root / RUNS / study.free_run(choice.target, choice.protocol)
        kept = study.kept
        return commands.evaluate(
            kept.data, self._root(study), choice.target, choice.protocol, kept.cutting, choice.depth, str(out)
        )

    def _look(self, study: Study, message: m.Look) -> None:
        mark = study.mark()

        def after(job: Job) -> None:
            study.write("look.json", job.output.encode())
            study.kept.looked, study.kept.looked_mark = message.subject, mark
            study.save()

        command = commands.look(study.kept.data, self._root(study), message.subject)
        self.jobs.start("look", f"Reading the signals of {message.subject}", command, after)

    def _live(self, study: Study, message: m.GoLive) -> None:
        model = self._model(study, message.run, message.model)
        root = self._root(study) if message.source.startswith("replay:") else None
        if message.source not in ("simulate", "lsl", f"replay:{study.kept.data}"):
            raise unknown_name("source", message.source, ("simulate", "lsl", f"replay:{study.kept.data}"))
        self.showing.start(message.run, commands.live(model, message.source, root, message.subject))

    def _export(self, study: Study, message: m.Export) -> None:
        outs = {"table": "table.csv", "predictions": "predictions.csv", "card": "card.md", "onnx": "onnx"}
        if message.what not in outs:
            raise unknown_name("export", message.what, outs)
        run = study.run(message.run)
        model = self._model(study, message.run, message.model) if message.what == "onnx" else ""
        command = commands.export(message.what, str(run), model, str(run / outs[message.what]))
        self.jobs.start("export", f"Writing {outs[message.what]}", command, lambda _: None)

    def _model(self, study: Study, run: str, name: str | None) -> str:
        models = study.models(run)
        if not models:
            raise InputError(f"run {run!r} without a model; expected one. Train it again.")
        wanted = models[0] if name is None else name
        if wanted not in models:
            raise unknown_name("model", wanted, models)
        return str(study.run(run) / "model" / wanted) if wanted else str(study.run(run) / "model")

    def _root(self, study: Study) -> str | None:
        return None if study.kept.data == DEMO else str(study.root)

    def _checked(self, study: Study) -> dict[str, Any] | None:
        kept = load_json(study.read(CHECKED))
        if not isinstance(kept, dict) or not isinstance(kept.get("found"), dict):
            return None
        return {**kept["found"], "fresh": kept.get("mark") == study.mark()}

    def state(self) -> State:
        """Everything that the page shows."""
        from insula import __version__

        study = self.study
        job = self.jobs.job
        return State(
            version=__version__,
            home=str(Path.home()),
            fixed=self.fixed,
            folder=None if study is None else self._folder(study),
            table=None if study is None else self._told(study),
            reasons={} if study is None else study.reasons(),
            check=None if study is None else self._checked(study),
            looked=None if study is None or study.kept.looked_mark != study.mark() else study.kept.looked,
            cutting=m.Cutting() if study is None else study.kept.cutting,
            choice=None if study is None else study.kept.choice,
            ways=ways(),
            work=None if job is None else work_of(job, commands.shown(job.arguments)),
            runs=[] if study is None else [told_run(study, name) for name in study.runs()],
            live=self._shown(),
            commands={} if study is None else self._commands(study),
        )

    def rows(self, first: int, count: int, text: str) -> dict[str, Any]:
        """Rows of the table from ``first`` on among those that hold ``text``, each with its number."""
        table = self._study().table()
        wanted = text.lower()
        kept = [(i, row) for i, row in enumerate(table.rows) if not wanted or any(wanted in c.lower() for c in row)]
        return {"columns": table.columns, "found": len(kept), "first": first, "rows": kept[first : first + count]}

    def signals(self) -> bytes:
        """What the last look at a person's signals found, as JSON."""
        study = self._study()
        fresh = study.kept.looked_mark == study.mark()
        return (study.read("look.json") if fresh else None) or b"null"

    def file(self, run: str, name: str) -> Path | None:
        """Return a file of a run."""
        return self._study().inside(run, *name.split("/"))

    def _folder(self, study: Study) -> Folder:
        from insula.data import info

        return Folder(str(study.root), study.root.name, study.kept.data, info(study.kept.data).title, study.own)

    def _told(self, study: Study) -> Told | None:
        path = study.manifest
        if path is None or not study.own:
            return None
        kept = study.kept
        key = (path, study.mark(), kept.at, len(kept.steps))
        if self._read is None or self._read[0] != key:
            self._read = (key, self._of_table(study, path))
        return self._read[1]

    def _of_table(self, study: Study, path: Path) -> Told:
        from insula.data.readers.manifest import OWN_COLUMNS

        kept = study.kept
        undo = kept.steps[kept.at].what if kept.at > 0 else None
        redo = kept.steps[kept.at + 1].what if kept.at + 1 < len(kept.steps) else None
        try:
            table = study.table()
        except InsulaError as error:
            return Told(path.name, 0, [], [], undo, redo, study.mark(), str(error))
        labels = [c for c in table.columns if c.lower().replace(" ", "_") not in OWN_COLUMNS]
        return Told(path.name, len(table.rows), list(table.columns), labels, undo, redo, study.mark())

    def _shown(self) -> Live | None:
        now = self.showing.now
        return None if now is None else Live(now.run, now.url, commands.shown(now.arguments), now.error)

    def _commands(self, study: Study) -> dict[str, str]:
        """The command of each step, as one types it."""
        root = self._root(study)
        out = {"check": commands.check(study.kept.data, root, study.kept.cutting)[:-1]}
        out["look"] = commands.look(study.kept.data, root, "PERSON")[:-1]
        if study.own:
            out["table"] = commands.init(str(study.root), False)
        if study.kept.choice is not None:
            out["train"] = self._training(study, study.kept.choice)
        return {step: commands.shown(arguments) for step, arguments in out.items()}


def ways() -> list[Way]:
    """The protocols in words, clean ones first."""
    from insula.protocols.protocols import PROTOCOLS

    found = [Way(p.name, p.question, p.where, p.limits, p.needs, p.leaky, p.personal) for p in PROTOCOLS.values()]
    return sorted(found, key=lambda way: way.leaky)
