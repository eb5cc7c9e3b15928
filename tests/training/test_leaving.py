"""A run that is asked to leave saves and leaves; it goes on as if nothing had happened."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import regionmed
from regionmed.errors import RunStoppedError
from regionmed.training.leaving import signals_noted
from regionmed.training.train import train


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_gets_a_signal_saves_leaves_and_resumes_bit_for_bit(
    number: signal.Signals, smears: Path, short, tmp_path: Path
) -> None:
    corpora, recipe = [regionmed.open_corpus(smears)], short(checkpoint_every=100)

    def interrupted(items: Iterable, title: str, total: int | None = None) -> Iterator:
        for item in items:
            if title.startswith("stage") and item == 4:
                os.kill(os.getpid(), number)
            yield item

    shaken = tmp_path / "shaken"
    with pytest.raises(RunStoppedError, match=rf"{number.name} after step 4; .* --resume"):
        train(recipe, corpora, shaken, track=interrupted)
    assert (shaken / "checkpoints" / "step-000005").is_dir()
    train(recipe, corpora, shaken, resume=True)
    calm = train(recipe, corpora, tmp_path / "calm")
    weights = [(run / "model" / "weights.safetensors").read_bytes() for run in (calm, shaken)]
    assert weights[0] == weights[1]


def test_the_second_signal_is_not_held_up() -> None:
    with signals_noted() as leaving:
        os.kill(os.getpid(), signal.SIGINT)
        assert leaving.signal == "SIGINT"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
