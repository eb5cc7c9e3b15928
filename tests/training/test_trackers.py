"""Weights & Biases and MLflow get the journal's numbers where asked, offline here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from regionmed.errors import UsageError
from regionmed.training.trackers import TRACKERS, need_tracker, open_tracker


def test_a_tracker_that_is_unknown_or_not_installed_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need_tracker(None)
    with pytest.raises(UsageError, match="no tracker 'mlfow'; give one of wandb, mlflow"):
        need_tracker("mlfow")
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    with pytest.raises(UsageError, match=r"pip install 'regionmed\[trackers\]'"):
        need_tracker("wandb")


@pytest.mark.parametrize("name", TRACKERS)
def test_a_resumed_run_goes_on_in_the_same_curve(
    name: str, short, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # else mlflow wants a database
    monkeypatch.setenv("WANDB_MODE", "offline")
    for step in range(2):
        tracker = open_tracker(name, tmp_path, short())
        tracker.write(step, {"loss": 3.0 - step})
        tracker.close()
    if name == "mlflow":
        from mlflow import MlflowClient

        client = MlflowClient()
        (experiment,) = client.search_experiments(filter_string="name = 'regionmed'")
        (run,) = client.search_runs([experiment.experiment_id])
        history = client.get_metric_history(run.info.run_id, "loss")
        assert [(metric.step, metric.value) for metric in history] == [(0, 3.0), (1, 2.0)]
        assert run.info.status == "FINISHED"
    else:
        ids = {path.suffix for path in (tmp_path / "wandb").rglob("*.wandb")}
        assert ids
