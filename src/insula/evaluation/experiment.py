"""Experiments: one frozen description of data, recipe, model, training and protocol, from TOML or from flags."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from insula.errors import InputError, unknown_name
from insula.files import read_toml
from insula.learning.align import Align
from insula.learning.classical_models import USUAL
from insula.models import DEFAULT
from insula.protocols.protocol import Amounts
from insula.protocols.protocols import PROTOCOLS
from insula.signals.recipe import Recipe, SignalRecipe


@dataclass(frozen=True)
class DataPart:
    """Which data: reader name, root folder, target, modalities (all by default), people, reader options.

    ``apart`` names people whose figures pages show once more on their own, people added after choices were made, say.
    ``draw`` names the reader's option that is given the experiment's seed, for data whose labels are drawn at random.
    ``pseudonyms`` is a private file of codes (`insula.data.pseudonyms`): people are then named by them, here too.
    """

    name: str
    root: str | None = None
    target: str | None = None
    modalities: tuple[str, ...] | None = None
    subjects: tuple[str, ...] | None = None
    traits: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    apart: tuple[str, ...] = ()
    draw: str | None = None
    pseudonyms: str | None = None


@dataclass(frozen=True)
class ModelPart:
    """Which network, its size and options, where its state is reset, how a person is normalised, how many members.

    ``prior`` multiplies a person's own model by what other people taught: a weight (0: not at all), or ``inner`` for
    one that is chosen on inner people (see `insula.learning.prior`). The first row and the classical ones that
    learn then stand in the table with it and without. ``align`` brings people's EEG together (`insula.learning.align`).
    ``teacher`` is a folder whose model (or fold models) the network learns from, ``start`` one whose weights it begins
    with; neither may have seen who is tested (`insula.evaluation.elders`).
    """

    name: str = DEFAULT
    size: str = "small"
    scope: str = "trial"
    normaliser: str | None = None
    align: Align = "none"
    teacher: str | None = None
    start: str | None = None
    members: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    prior: float | Literal["inner"] = 0.0


@dataclass(frozen=True)
class ProtocolPart:
    """Which protocol, how many folds (the protocol's own by default), how many shuffles of the null test.

    ``pooled`` trains a leaky protocol on all people at once, as most published work does, instead of a model a person;
    ``by_person`` makes a model a person under leave_stimulus_out. ``minutes`` (or ``trials``) of each class that a
    tested person labels first, and the ``strategies`` of adapting compared, belong to protocols that calibrate.
    """

    name: str = "within_subject"
    folds: int | None = None
    null: int = 0
    pooled: bool = False
    by_person: bool = False
    minutes: tuple[float, ...] = ()
    trials: tuple[int, ...] = ()
    strategies: tuple[str, ...] = ()

    @property
    def amounts(self) -> Amounts | None:
        """What `insula.protocols.split` is asked for: None leaves it to the protocol."""
        return Amounts.asked(self.trials, self.minutes)

    @property
    def personal(self) -> bool | None:
        """What `insula.protocols.split` is asked for: None leaves it to the protocol."""
        return False if self.pooled else True if self.by_person else None

    @property
    def models_a_person(self) -> bool:
        """Whether each person has an own model."""
        known = PROTOCOLS.get(self.name)
        return known is not None and (known.personal if self.personal is None else self.personal)


@dataclass(frozen=True)
class CompareWith:
    """Rows beside the model: other networks, classical and baseline rows, its variants, one with carried state.

    ``models`` are networks of the model's size, scope and normaliser on the same windows, without variants.

    ``variants`` are names of the network's card; None: the usual ones.
    ``session`` None carries state where the protocol tests whole sessions or people. ``declare`` has
    the classical row that the model is compared with chosen on inner people, which costs their fits once more.
    ``traits`` also trains the model without people's traits, where there are some, to say what they add.
    """

    models: tuple[str, ...] = ()
    rows: tuple[str, ...] = USUAL
    context: bool = True
    variants: tuple[str, ...] | None = None
    session: bool | None = None
    declare: bool = True
    traits: bool = False


@dataclass(frozen=True)
class Tune:
    """Candidates tried on inner splits of the training people; each is a table of [train] and [model.options] keys."""

    candidates: tuple[Mapping[str, Any], ...] = ()
    folds: int = 2


@dataclass(frozen=True)
class Experiment:
    """Everything one evaluation needs.

    ``seeds`` are those that `insula results` runs it with, one after the other; anything else runs ``seed``.
    """

    data: DataPart
    model: ModelPart = ModelPart()
    protocol: ProtocolPart = ProtocolPart()
    compare: CompareWith = CompareWith()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    tune: Tune = Tune()
    seed: int = 0
    seeds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        seeds = [("seeds", s) for s in self.seeds]
        for name, value in (("seed", self.seed), ("protocol.null", self.protocol.null), *seeds):
            if value < 0:
                raise InputError(f"{name} {value}; expected 0 or more. Correct it, or leave it out.")
        if self.protocol.pooled and self.protocol.by_person:
            raise InputError("protocol.pooled and protocol.by_person; expected one of them. Leave one out.")
        prior = self.model.prior
        if prior != "inner" and not 0 <= prior <= 1:
            raise InputError(
                f"model.prior {prior}; expected 0 to 1, or 'inner' to have the weight chosen. Use 'inner'."
            )
        if prior and self.protocol.name in PROTOCOLS and not self.protocol.models_a_person:
            raise InputError(
                f"model.prior under {self.protocol.name}, whose models are not one person's; expected a model a "
                "person. Use within_subject or cross_session, or leave_stimulus_out with protocol.by_person = true."
            )
        if self.tune.folds < 1:
            raise InputError(f"tune.folds {self.tune.folds}; expected 1 or more. Leave it out for the usual number.")

    @property
    def reader_options(self) -> dict[str, Any]:
        """Options of the reader, the seed among them where it draws the labels."""
        drawn = {} if self.data.draw is None else {self.data.draw: self.seed}
        return {**self.data.options, **drawn}

    def repeats(self) -> tuple[Experiment, ...]:
        """The experiment of each seed: the first with everything, the others without variants and null test."""
        first, *others = self.seeds or (self.seed,)
        fewer = dataclasses.replace(
            self,
            seeds=(),
            protocol=dataclasses.replace(self.protocol, null=0),
            compare=dataclasses.replace(self.compare, variants=(), session=False),
        )
        whole = dataclasses.replace(self, seed=first, seeds=())
        return (whole, *(dataclasses.replace(fewer, seed=s) for s in others))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return dataclasses.asdict(self)

    def asked(self) -> dict[str, Any]:
        """Return what differs from the defaults: an option that is added later and left alone changes nothing here."""
        return _asked(self)


def _asked(part: Any) -> dict[str, Any]:
    found = {}
    for one in dataclasses.fields(part):
        value = getattr(part, one.name)
        usual = one.default_factory() if one.default_factory is not dataclasses.MISSING else one.default
        if dataclasses.is_dataclass(value):
            found[one.name] = _asked(value)
        elif value != usual:
            found[one.name] = value
    return {name: value for name, value in found.items() if value != {}}


_PARTS: dict[str, Any] = {
    "data": DataPart,
    "model": ModelPart,
    "protocol": ProtocolPart,
    "compare": CompareWith,
    "tune": Tune,
}


def read_experiment(path: str | Path) -> Experiment:
    """Read an experiment from TOML; an unknown key is an error that names the nearest known one."""
    return experiment_from(read_toml(Path(path), "an experiment with tables [data], [model], [protocol]"))


def experiment_from(tables: Mapping[str, Any]) -> Experiment:
    """Build an experiment from nested plain tables."""
    known = [f.name for f in dataclasses.fields(Experiment)]
    for key in tables:
        if key not in known:
            raise unknown_name("experiment key", key, known)
    if "compare" in tables:
        tables = {**tables, "compare": with_variants(tables["compare"])}
    parts: dict[str, Any] = {name: _part(cls, name, tables[name]) for name, cls in _PARTS.items() if name in tables}
    if "data" not in parts:
        raise InputError('an experiment without [data] name; expected at least that. Add [data] name = "...".')
    rest = {k: tables[k] for k in ("recipe", "train", "seed", "seeds") if k in tables}
    return Experiment(**checked("experiment key", Experiment, {**parts, **rest}))


def with_variants(compare: Any) -> Any:
    """Join ``cores`` and ``controls``, as files from before 0.2 name them, into ``variants``."""
    if not isinstance(compare, Mapping) or not {"cores", "controls"} & set(compare):
        return compare
    named = [*compare.get("cores", ()), *compare.get("controls", ())]
    every = set(named) == {"ema", "gru", "frozen", "equal"}  # the default then
    return {
        **{k: v for k, v in compare.items() if k not in ("cores", "controls")},
        "variants": None if every else named,
    }


def apply_recipe(base: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """Return the recipe with keys changed; ``signals.NAME`` tables change single modalities."""
    plain = checked("recipe key", Recipe, {k: v for k, v in changes.items() if k != "signals"})
    signals = dict(base.signals)
    for name, table in _table("recipe.signals", changes.get("signals", {})).items():
        kind = f"recipe.signals.{name}"
        off = {k: None if v is False and k.endswith("_hz") else v for k, v in _table(kind, table).items()}
        fixed = checked(f"{kind} key", SignalRecipe, off)
        if name in signals:
            signals[name] = dataclasses.replace(signals[name], **fixed)
        else:
            if "rate_hz" not in fixed:
                raise InputError(f"recipe.signals.{name} without rate_hz; expected it for a new modality. Add it.")
            signals[name] = SignalRecipe(**fixed)
    return dataclasses.replace(base, signals=signals, **plain)


def checked(kind: str, cls: Any, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table's values as a dataclass takes them, lists as tuples; unknown keys and wrong types are errors."""
    hints = get_type_hints(cls)
    allowed = [f.name for f in dataclasses.fields(cls)]
    out: dict[str, Any] = {}
    for key, value in table.items():
        if key not in allowed:
            raise unknown_name(kind, key, allowed)
        out[key] = tuple(value) if isinstance(value, list) else value
        if not _fits(out[key], hints[key]):
            raise InputError(f"{kind} {key} is {value!r}; expected {_words(hints[key])}. Correct it, or leave it out.")
    return out


def _part(cls: Any, name: str, table: Any) -> Any:
    if cls is DataPart and "name" not in _table(f"[{name}]", table):
        raise InputError('[data] without name; expected at least that. Add [data] name = "...".')
    return cls(**checked(f"[{name}] key", cls, _table(f"[{name}]", table)))


def _table(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{name} is {value!r}; expected a table. Write {name} with its keys below it.")
    return value


def _fits(value: Any, hint: Any) -> bool:
    kind = get_origin(hint) or hint
    inner = get_args(hint)
    if kind in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if kind is Literal:
        return value in inner
    if kind is tuple:
        wanted = inner[:1] * len(value) if inner[-1] is Ellipsis and isinstance(value, tuple) else inner
        return isinstance(value, tuple) and len(value) == len(wanted) and all(map(_fits, value, wanted))
    if kind in (int, float):
        return isinstance(value, int | kind) and not isinstance(value, bool)
    return kind is Any or isinstance(value, kind)


def _words(hint: Any) -> str:
    """Say a type hint in the words of TOML."""
    kind = get_origin(hint) or hint
    inner = get_args(hint)
    if kind in (Union, UnionType):
        return " or ".join(_words(one) for one in inner if one is not type(None))
    if kind is Literal:
        return " or ".join(map(repr, inner))
    if kind is tuple:
        return f"a list, each {_words(inner[0])}"
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return words.get(kind, "a table")
