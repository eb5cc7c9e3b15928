"""A run that is asked to leave saves and leaves; it goes on as if nothing had happened."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import regionmed
from regionmed.errors import RunStoppedError
from regionmed.progress import Track
from regionmed.training.leaving import signals_noted
from regionmed.training.train import train


def test_a_run_that_gets_signals_saves_leaves_and_resumes_bit_for_bit(
    smears: Path, short, calm: Path, tmp_path: Path
) -> None:
    corpora, recipe, run = [regionmed.open_corpus(smears)], short(), tmp_path / "run"

    def at(step: int, number: signal.Signals) -> Track:
        def interrupted(items: Iterable, title: str, total: int | None = None) -> Iterator:
            for item in items:
                if title.startswith("stage") and item == step:
                    os.kill(os.getpid(), number)
                yield item

        return interrupted

    with pytest.raises(RunStoppedError, match=r"SIGTERM after step 2; .* resume with --resume"):
        train(recipe, corpora, run, track=at(2, signal.SIGTERM))
    assert (run / "checkpoints" / "step-000003").is_dir()  # three steps done: 0, 1 and 2
    with pytest.raises(RunStoppedError, match="SIGINT after step 4"):
        train(recipe, corpora, run, resume=True, track=at(4, signal.SIGINT))
    train(recipe, corpora, run, resume=True)
    weights = [(each / "model" / "weights.safetensors").read_bytes() for each in (calm, run)]
    assert weights[0] == weights[1]


def test_the_second_signal_is_not_held_up() -> None:
    # a suite that was started in the background ignores SIGINT
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with signals_noted() as leaving:
            os.kill(os.getpid(), signal.SIGINT)
            assert leaving.signal == "SIGINT"
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
