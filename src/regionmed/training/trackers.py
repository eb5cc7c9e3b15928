"""The journal's numbers for Weights & Biases or MLflow, where a run asks for it.

Both take their server, or their offline mode, from their own environment variables (WANDB_MODE,
MLFLOW_TRACKING_URI). The run's id lies in RUN, so that a resumed run goes on in the same curve.
"""

from __future__ import annotations

import importlib.util
import json
import os
import time
import uuid
from pathlib import Path
from typing import Any, Protocol

from regionmed.errors import UsageError
from regionmed.training.stages import Recipe

TRACKERS = ("wandb", "mlflow")


class Tracker(Protocol):
    """Takes the numbers of a run beside its journal."""

    def write(self, step: int, numbers: dict[str, float]) -> None:
        """Those of one step."""
        ...

    def close(self) -> None:
        """The run has ended or leaves."""
        ...


def need_tracker(name: str | None) -> None:
    """UsageError where a tracker is asked that is unknown or not installed."""
    if name is None:
        return
    if name not in TRACKERS:
        raise UsageError(f"no tracker '{name}'; give one of {', '.join(TRACKERS)}")
    if importlib.util.find_spec(name) is None:
        raise UsageError(
            f"logging to {name} needs its package: pip install 'regionmed[trackers]', or leave it "
            "out; journal and TensorBoard are written always"
        )


def open_tracker(name: str, run: Path, recipe: Recipe) -> Tracker:
    """The tracker of the run in folder `run`, begun or gone on with."""
    path = run / f"{name}.json"
    known = json.loads(path.read_text())["id"] if path.is_file() else None
    opened = (_Wandb if name == "wandb" else _Mlflow)(known, run, recipe)
    if known is None:
        aside = path.with_name(f".{path.name}.part")
        aside.write_text(json.dumps({"id": opened.id}))
        os.replace(aside, path)
    return opened


class _Wandb:
    def __init__(self, known: str | None, run: Path, recipe: Recipe) -> None:
        import wandb

        self.id = known or uuid.uuid4().hex
        settings = wandb.Settings(silent=True, console="off")
        self._run: Any = wandb.init(
            project="regionmed", name=run.name, id=self.id, resume="allow", dir=str(run),
            config=recipe.as_json(), settings=settings,
        )  # fmt: skip

    def write(self, step: int, numbers: dict[str, float]) -> None:
        self._run.log(numbers, step=step)

    def close(self) -> None:
        self._run.finish()


class _Mlflow:
    def __init__(self, known: str | None, run: Path, recipe: Recipe) -> None:
        import mlflow

        self._client: Any = mlflow.MlflowClient()
        if known is None:
            place = self._client.get_experiment_by_name("regionmed")
            number = place.experiment_id if place else self._client.create_experiment("regionmed")
            known = self._client.create_run(number, run_name=run.name).info.run_id
            self._client.log_dict(known, recipe.as_json(), "recipe.json")
        else:
            self._client.update_run(known, status="RUNNING")
        self.id = known

    def write(self, step: int, numbers: dict[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value in numbers.items()]
        self._client.log_batch(self.id, metrics=metrics)

    def close(self) -> None:
        self._client.set_terminated(self.id)
