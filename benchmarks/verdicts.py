"""False claims of the verdict on simulated people without any feeling, and its power where there is one.

python benchmarks/verdicts.py                  # 500 null cohorts, 120 with an effect
python benchmarks/verdicts.py --cohorts 60     # quick
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from insula.evaluation.fakes import NULLS, PEOPLE, Cohort, claims

REACH = 0.05
EFFECTS = (0.5, 1.0, 1.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohorts", type=int, default=500)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found = claims(list(NULLS.values()), PEOPLE, asked.cohorts)
    print(f"false claims among {len(found)} cohorts without anything to recognise")
    for name, cohort in NULLS.items():
        own = [claimed for c, _, claimed in found if c is cohort]
        print(f"  {name:44} {sum(own):3} of {len(own)}")
    for people in PEOPLE:
        own = [claimed for _, n, claimed in found if n == people]
        print(f"  {people:2} people {'':34} {sum(own):3} of {len(own)}")
    share = sum(claimed for *_, claimed in found) / len(found)
    print(f"  all {100 * share:.1f} % (at most {100 * REACH:.0f} % wanted)")
    out = [{"name": "false claims", "value": share, "unit": "share", "reach": REACH, "holds": share <= REACH}]
    print("power: claims where tense raises the signal by so many deviations of a window's noise (random orders)")
    for effect in EFFECTS:
        for people in PEOPLE[2:]:
            own = [c for *_, c in claims([Cohort(effect=effect)], [people], max(10, asked.cohorts // 25))]
            print(f"  effect {effect:.1f}, {people:2} people {'':25} {sum(own):3} of {len(own)}")
            name = f"power at {effect} with {people} people"
            out.append({"name": name, "value": sum(own) / len(own), "unit": "share", "reach": None, "holds": True})
    if asked.json:
        asked.json.write_text(json.dumps(out, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
