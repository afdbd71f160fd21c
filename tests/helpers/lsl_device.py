"""A device on LSL as a process of its own: EEG and EDA under given names, sine waves whose phase tells the time.

usage: python lsl_device.py SUFFIX CLOCK_SHIFT_S
"""

from __future__ import annotations

import sys
import time

import numpy as np


def main() -> None:
    from mne_lsl.lsl import StreamInfo, StreamOutlet, local_clock

    suffix, shift_s = sys.argv[1], float(sys.argv[2])
    eeg = StreamInfo(f"eeg-{suffix}", "EEG", 4, 128.0, "float32", f"eeg-{suffix}")
    eeg.set_channel_names(["F3", "F4", "O1", "O2"])
    eeg.set_channel_units("microvolts")
    eda = StreamInfo(f"eda-{suffix}", "GSR", 1, 4.0, "float32", f"eda-{suffix}")
    outlets = [(StreamOutlet(eeg), 128.0, 4), (StreamOutlet(eda), 4.0, 1)]
    began, sent = float(local_clock()), [0, 0]
    print("streaming", flush=True)
    while True:
        now = float(local_clock())
        for i, (outlet, rate_hz, channels) in enumerate(outlets):
            due = int((now - began) * rate_hz)
            for k in range(sent[i], due):
                at = began + k / rate_hz
                value = 5.0 + 20.0 * np.sin(2 * np.pi * at)
                outlet.push_sample(np.full(channels, value, np.float32), timestamp=at + shift_s)
            sent[i] = due
        time.sleep(0.01)


if __name__ == "__main__":
    main()
