"""One classifier for all feeds of a process: what arrives together is scored together."""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scenecheck.classifier import Classifier
from scenecheck.errors import ModelError
from scenecheck.types import Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_TOGETHER = 16
"""Tiles scored in one go on a device that has use for it."""
MAX_TOGETHER_CPU = 2
"""On a CPU more leave its caches: eight together took half as long again a tile as one alone."""
_SMOOTHING = 0.2  # weight of the latest answer in `lag_s`


@dataclass(frozen=True, slots=True)
class _Asked:
    tiles: NDArray[np.uint8]
    answer: Future[Scores]


class SharedClassifier(Classifier):
    """A Classifier whose `score` many threads call: while one batch is scored the next one gathers.

    A lone tile waits for nobody: a batch is whatever is there when the runtime is free. A tile's scores
    are the same bits in any batch.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._asked: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.lag_s = 0.0
        """How long it takes from asking to the answer lately (s): it grows when the machine is short of time."""
        super().__init__(*args, **kwargs)
        self.most_together = MAX_TOGETHER_CPU if self.provider == "cpu" else MAX_TOGETHER
        self._thread = threading.Thread(target=self._serve, name="batcher", daemon=True)
        self._thread.start()

    def score(self, tiles: NDArray[np.uint8]) -> Scores:
        """As `Classifier.score`."""
        if self._thread is None:  # its own known answers
            return super().score(tiles)
        answer: Future[Scores] = Future()
        asked_s = time.monotonic()
        self._asked.put(_Asked(tiles, answer))
        scores = answer.result()
        self.lag_s += _SMOOTHING * (time.monotonic() - asked_s - self.lag_s)
        return scores

    def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._asked.put(None)
            thread.join()
        super().close()

    def _serve(self) -> None:
        while (first := self._asked.get()) is not None:
            together, is_last = [first], False
            while sum(len(a.tiles) for a in together) < self.most_together:
                try:
                    asked = self._asked.get_nowait()
                except queue.Empty:
                    break
                if asked is None:
                    is_last = True
                    break
                together.append(asked)
            self._answer(together)
            if is_last:
                return

    def _answer(self, together: list[_Asked]) -> None:
        try:
            scores = super().score(np.concatenate([a.tiles for a in together]))
        except (ModelError, ValueError) as e:
            for asked in together:
                asked.answer.set_exception(e)
            return
        start = 0
        for asked in together:
            part = slice(start, start := start + len(asked.tiles))
            asked.answer.set_result(
                Scores(
                    scores.p_indoor[part],
                    scores.logits[part],
                    scores.embedding[part],
                    scores.cam[part],
                    scores.is_novel[part],
                )
            )
