"""Boards that BrainFlow knows, the synthetic one (-1) among them: an extra of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from insula.errors import InputError
from insula.live.chunks import Appeared, Begin, Chunk, Event, Stream


class Brainflow:
    """EEG, PPG, EDA, temperature and acceleration of one board.

    Parameters
    ----------
    board : BrainFlow's number of the board, then ``,key=value`` of its connection (serial_port, mac_address, ...).
    """

    def __init__(self, board: str = "-1") -> None:
        if find_spec("brainflow") is None:
            raise InputError("brainflow not installed; expected insula[brainflow]. pip install 'insula[brainflow]'.")
        from brainflow.board_shim import BoardShim, BrainFlowInputParams

        number, *settings = board.split(",")
        parameters = BrainFlowInputParams()
        for setting in settings:
            key, found, value = setting.partition("=")
            if not found or not hasattr(parameters, key):
                raise InputError(f"board setting {setting!r}; expected key=value as BrainFlow names them.")
            kind = type(getattr(parameters, key))
            setattr(parameters, key, kind(value))
        try:
            self.board = int(number)
        except ValueError:
            raise InputError(
                f"board {number!r}; expected BrainFlow's number of it, -1 for the synthetic one."
            ) from None
        BoardShim.disable_board_logger()
        self._shim: Any = BoardShim(self.board, parameters)
        about = BoardShim.get_board_descr(self.board)
        self._about = about
        self._rate_hz = float(about["sampling_rate"])
        self._rows: dict[str, list[int]] = {}
        self._streams: dict[str, Stream] = {}
        for modality, key, unit in (
            ("eeg", "eeg_channels", "uV"), ("ppg", "ppg_channels", "a.u."), ("eda", "eda_channels", "uS"),
            ("temp", "temperature_channels", "degC"), ("acc", "accel_channels", "g"),
        ):  # fmt: skip
            rows = list(about.get(key, []))
            if rows:
                names = str(about.get("eeg_names", "")).split(",") if modality == "eeg" else []
                told = (
                    tuple(names) if len(names) == len(rows) else tuple(f"{modality}{i + 1}" for i in range(len(rows)))
                )
                self._rows[modality] = rows
                self._streams[modality] = Stream(modality, told, self._rate_hz, unit)
        self._began: float | None = None
        self._count = 0

    @property
    def name(self) -> str:
        return f"BrainFlow board {self._about.get('name', self.board)}"

    def now_s(self) -> float | None:
        """The present since the first sample."""
        return None if self._began is None else time.monotonic() - self._began

    @property
    def keys(self) -> tuple[str, ...]:
        return ()

    def press(self, key: str) -> str | None:  # noqa: ARG002 (boards have no keys)
        return None

    def read(self, timeout_s: float) -> Sequence[Event] | None:
        """Give what the board has measured; the board counts its samples, and so do we."""
        if self._began is None:
            self._shim.prepare_session()
            self._shim.start_stream()
            self._began = time.monotonic()
            return [Begin(0.0), *(Appeared(stream) for stream in self._streams.values())]
        until = time.monotonic() + timeout_s
        while not self._shim.get_board_data_count() and time.monotonic() < until:
            time.sleep(0.004)
        data = self._shim.get_board_data()
        n = data.shape[1]
        times_s = (self._count + np.arange(n)) / self._rate_hz
        self._count += n
        if not n:
            return []
        return [Chunk(m, data[rows].astype(np.float32), times_s) for m, rows in self._rows.items()]

    def close(self) -> None:
        """Stop the board."""
        if self._began is not None and self._shim.is_prepared():
            self._shim.stop_stream()
            self._shim.release_session()
            self._began = None
