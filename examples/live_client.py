"""Print what a live page decides: python examples/live_client.py ws://127.0.0.1:8765/decisions

Start the server first: insula live --model runs/my_model --source simulate
"""

import json
import sys

from websockets.sync.client import connect

with connect(sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8765/decisions") as server:
    for text in server:
        said = json.loads(text)
        if said["type"] != "decision":
            continue
        state = said["label"] or f"don't know ({said['why']})"
        counted = [name for name, sensor in said["sensors"].items() if sensor["counts"]]
        chances = ", ".join(f"{n} {p:.0%}" for n, p in zip(said["classes"], said["chances"], strict=False))
        print(f"{said['time_s']:8.1f} s  {state}  [{chances}]  from {', '.join(counted)}", flush=True)
