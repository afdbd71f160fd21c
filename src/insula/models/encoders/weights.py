"""A folder of somebody's weights, read as a stranger's: safetensors or torch files as plain tensors, nothing run."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from insula.errors import DataError, InputError
from insula.files import read_json
from insula.models.card import ModelCard

LARGEST_BYTES = 8 << 30
"""A larger file of weights is refused, packed or unpacked."""
LARGEST_TEXT = 16 << 20
WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training programs put the weights themselves."""
T = TypeVar("T")
Module = TypeVar("Module", bound=nn.Module)


class Folder:
    """Weights and description of one encoder in a folder; what is missing is an error that says where to get it."""

    def __init__(self, path: str, card: ModelCard) -> None:
        self.card = card
        if not path or not Path(path).is_dir():
            told = f"no folder {path} for" if path else "no folder named for"
            raise InputError(f"{told} {card.title}; expected a folder of its weights. {self.source}")
        self.path = Path(path)

    @property
    def source(self) -> str:
        """Where the weights come from, in a sentence."""
        facts = self.card.pretraining
        if facts is None:
            return ""
        return f"Get {' and '.join(facts.files)} from {facts.where} (licence: {facts.licence})."

    @cached_property
    def file(self) -> Path:
        """The file of weights: one that the card names, else the only one there."""
        named = [name for name in self.card.pretraining.files if "." in name] if self.card.pretraining else []
        for name in named:
            if (self.path / name).is_file() and _kind(self.path / name):
                return self.path / name
        others = sorted(p for p in self.path.iterdir() if p.is_file() and _kind(p))
        if len(others) == 1:
            return others[0]
        found = f"{len(others)} files of weights" if others else "no file of weights"
        raise DataError(f"{self.path} holds {found}; expected one of {self.card.title}. {self.source}")

    @cached_property
    def sha256(self) -> bytes:
        """Digest of the file of weights."""
        digest = hashlib.sha256()
        with self.file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        return digest.digest()

    def described(self, name: str, kind: type[T]) -> T:
        """Read a JSON file beside the weights into a type that is checked."""
        file = self.path / name
        if not file.is_file():
            raise DataError(f"{self.path} without {name}; expected that of {self.card.title}. {self.source}")
        if file.stat().st_size > LARGEST_TEXT:
            raise DataError(f"{file} of {file.stat().st_size:,} bytes; expected at most {LARGEST_TEXT:,}.")
        return read_json(file, kind, f"the description of {self.card.title}")

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by its name, without what training programs put before it."""
        return {name.removeprefix("module."): tensor for name, tensor in read_tensors(self.file).items()}

    def size(self, name: str, axis: int) -> int:
        """Length of one axis of a tensor, from which an architecture is told."""
        if name not in self.tensors or self.tensors[name].dim() <= axis:
            raise DataError(f"{self.file} lacks {name}; expected the tensors of {self.card.title}. {self.source}")
        return int(self.tensors[name].shape[axis])

    def count(self, prefix: str) -> int:
        """How many numbered parts there are under a name."""
        inside = (name.removeprefix(prefix).split(".")[0] for name in self.tensors if name.startswith(prefix))
        return len({part for part in inside if part.isdigit()})

    def filled(self, make: Callable[[], Module], ignored: Sequence[str] = (), real: bool = False) -> Module:
        """Build a module without memory, check every tensor of the file against it, and fill it.

        Names in which one of ``ignored`` stands are passed over (heads of other tasks). ``real`` builds it once more
        with memory when all fits, for modules of others that keep numbers beside their weights. Raises DataError for
        what is missing, unknown or of another shape, by name.
        """
        over = tuple(ignored)
        try:
            with torch.device("meta"):
                module = make()
        except NotImplementedError:  # its form depends on values
            module = make()
        kept = self._checked(module.state_dict(), over)
        if real:
            module = make()
        module.load_state_dict(kept, assign=True)
        return module.eval().requires_grad_(False)

    def _checked(self, expected: Mapping[str, Tensor], over: tuple[str, ...]) -> dict[str, Tensor]:
        given = {n: v for n, v in self.tensors.items() if n in expected or not any(part in n for part in over)}
        self.require(expected, given)
        return {name: _as(tensor, expected[name], f"{self.file}: {name}") for name, tensor in given.items()}

    def require(self, expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
        """Raise DataError where names or shapes of tensors are not those expected."""
        missing = [f"{name} {tuple(expected[name].shape)}" for name in expected if name not in given]
        unknown = [f"{name} {tuple(given[name].shape)}" for name in given if name not in expected]
        if missing or unknown:
            parts = [f"lacks {_some(missing)}"] if missing else []
            parts += [f"holds {_some(unknown)} besides"] if unknown else []
            raise DataError(
                f"{self.file} {' and '.join(parts)}; expected the tensors of {self.card.title}. {self.source}"
            )
        for name, tensor in expected.items():
            if given[name].shape != tensor.shape:
                raise DataError(
                    f"{self.file}: {name} of shape {tuple(given[name].shape)}; expected {tuple(tensor.shape)}. "
                    f"{self.source}"
                )


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors or torch file by name; DataError for anything else. Nothing in it is executed."""
    if file.stat().st_size > LARGEST_BYTES:
        raise DataError(f"{file} of {file.stat().st_size:,} bytes; expected at most {LARGEST_BYTES:,}.")
    try:
        found = _safe(file) if file.suffix == ".safetensors" else _torch(file)
    except DataError:
        raise
    except Exception as error:  # what a reader of pickles says of a forged one is any of Python's errors
        told = " ".join(str(error).split())[:160]
        raise DataError(
            f"{file} cannot be read as tensors ({type(error).__name__}: {told}); expected a safetensors file or a "
            "torch file that holds tensors alone. Get it anew, and do not trust one that wants to run code."
        ) from None
    whole = sum(tensor.numel() * tensor.element_size() for tensor in found.values())  # one number may stand for many
    if whole > LARGEST_BYTES:
        raise DataError(f"{file} holds tensors of {whole:,} bytes; expected at most {LARGEST_BYTES:,}. Get it anew.")
    return found


def _safe(file: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found: dict[str, Tensor] = load_file(file, device="cpu")
    except SafetensorError as error:
        raise ValueError(str(error)) from None
    return found


def _torch(file: Path) -> dict[str, Tensor]:
    with zipfile.ZipFile(file) as packed:  # files of torch before 1.6 are no archives, and are refused
        whole = sum(part.file_size for part in packed.infolist())
    if whole > LARGEST_BYTES:
        raise DataError(f"{file} unpacks to {whole:,} bytes; expected at most {LARGEST_BYTES:,}.")
    found: Any = torch.load(file, map_location="cpu", weights_only=True)
    for key in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
            break
    if not isinstance(found, Mapping) or not all(isinstance(v, Tensor) for v in found.values()):
        raise DataError(f"{file} holds no tensors by name; expected a state_dict. Save one with torch.save.")
    return {str(name): tensor for name, tensor in found.items()}


def _as(tensor: Tensor, like: Tensor, where: str) -> Tensor:
    """A tensor of the kind that is expected, finite."""
    if tensor.layout is not torch.strided or tensor.is_complex() != like.is_complex():
        raise DataError(f"{where} is {tensor.dtype}, {tensor.layout}; expected plain numbers. Get the weights anew.")
    made = tensor.to(like.dtype).contiguous()
    if made.is_floating_point() and not torch.isfinite(made).all():
        raise DataError(f"{where} is not finite; expected finite weights. Get the weights anew.")
    return made


def _kind(file: Path) -> bool:
    return file.suffix in (".safetensors", ".pt", ".pth", ".bin", ".ckpt")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
