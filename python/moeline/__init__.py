"""How long does a Mixture-of-Experts model take on a machine, what holds it back, and what would change it?

Scenarios and answers are the dictionaries of the JSON that the program `moeline` reads and writes (docs/guide/scenario.md).
What is wrong with a scenario is a ValueError of one line; other threads run while a call does.
"""

from __future__ import annotations

import json
import os
from typing import Any, Iterable

from . import _core

__all__ = ["check", "evaluate", "fit", "sweep"]


def evaluate(scenario: dict[str, Any]) -> dict[str, Any]:
    """What `moeline train -o json` answers, or `moeline layer` where the workload's kind says so.

    A scenario that cannot run is {"feasible": False, "reason": ..., "advice": ...}.
    """
    return json.loads(_core.evaluate(json.dumps(scenario)))


def sweep(sweep: dict[str, Any], threads: int = 0) -> list[dict[str, Any]]:
    """The rows of `moeline sweep -o json`, one per point, infeasible ones too; on all cores if `threads` is 0."""
    rows = _core.sweep(json.dumps(sweep), threads).split("\n")
    return [json.loads(row) for row in rows if row]


def fit(files: Iterable[str | os.PathLike[str]], source: str = "not stated") -> list[dict[str, Any]]:
    """The pages that `moeline fit` makes of measurement files: a device, an operation and its parameters each.

    {"device": ..., "families": pages} is a file that a scenario's `calibration` can name.
    """
    return json.loads(_core.fit([os.fspath(file) for file in files], source))


def check(
    files: Iterable[str | os.PathLike[str]], calibration: str = "auto", conditions: str = "benchmark"
) -> dict[str, Any]:
    """What `moeline check -o json` says: predictions against measurement files, or folders of them."""
    return json.loads(_core.check([os.fspath(file) for file in files], calibration, conditions))
