"""Scores kept between runs: what a picture's bytes gave with this model, this code and these libraries.

A folder with one SQLite file. Keys are hashes of everything that decides a score, so nothing ever has to be
thrown away and no entry can be stale; values are times, probabilities and conditions. No picture, no tile and
no embedding is stored. Each batch is committed at once: a run that was killed goes on where it was.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np

from scenecheck import conditions, decode, pictures, planes, preprocess
from scenecheck.errors import UsageError
from scenecheck.source import files
from scenecheck.types import Condition, Sighting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from scenecheck.adapter import Model

_log = logging.getLogger(__name__)

FILE_NAME = "scores.sqlite"
_VERSION = 1
_CODE = (conditions, decode, files, pictures, planes, preprocess)
_NONE: frozenset[Condition] = frozenset()
_BUSY_S = 30.0
"""How long to wait for another run that writes to the same cache."""


def recipe_of(classifier: Model, *, frames: int) -> str:
    """SHA-256 of all that decides a score but the picture: model, card, provider, code, libraries.

    The modules that make tiles are hashed as text besides `PREPROCESS_VERSION`: somebody who changes a line and
    forgets to raise the version must not be shown the scores of before.
    """
    code = [hashlib.sha256(Path(str(m.__file__)).read_bytes()).hexdigest() for m in _CODE]
    libraries = [importlib.metadata.version("onnxruntime"), cv2.__version__, np.__version__, av.__version__]
    parts = [
        classifier.card.sha256,
        classifier.card.model_dump_json(),
        classifier.provider,
        frames,
        preprocess.PREPROCESS_VERSION,
        *code,
        *libraries,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class ScoreCache:
    """Scores by file hash for one recipe. Use it in ``with``; may be used from several threads.

    Raises UsageError ``bad-cache`` when the folder cannot be used. A cache that fails while a run goes on is
    given up with a warning: it is an aid, and no run may fail for it.
    """

    def __init__(self, folder: Path, recipe: str) -> None:
        self.path = folder / FILE_NAME
        self._recipe = bytes.fromhex(recipe)
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = self._opened()
        except (OSError, sqlite3.Error) as e:
            raise UsageError("bad-cache", f"{self.path}: {getattr(e, 'strerror', None) or e}") from None
        self._is_open = True

    def _opened(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            with closing(db.execute("PRAGMA user_version")) as cursor:
                version = cursor.fetchone()[0]
            if version not in {0, _VERSION}:
                raise UsageError("bad-cache", f"{self.path}: of version {version}, expected {_VERSION}")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(
                "CREATE TABLE IF NOT EXISTS scores (key BLOB PRIMARY KEY, frames TEXT NOT NULL) WITHOUT ROWID"
            )
            db.execute(f"PRAGMA user_version = {_VERSION}")
        except BaseException:
            db.close()
            raise
        return db

    def _key(self, sha256: bytes) -> bytes:
        return hashlib.sha256(self._recipe + sha256).digest()

    def get(self, digests: Sequence[bytes]) -> dict[bytes, tuple[Sighting, ...]]:
        """The frames of those files, by SHA-256, that are known."""
        by_key = {self._key(digest): digest for digest in digests}
        places = ", ".join("?" * len(by_key))
        try:
            with self._lock:
                if not self._is_open or not by_key:
                    return {}
                query = f"SELECT key, frames FROM scores WHERE key IN ({places})"  # noqa: S608  (question marks)
                rows = self._db.execute(query, list(by_key)).fetchall()
            return {by_key[key]: _sightings(frames) for key, frames in rows}
        except (sqlite3.Error, ValueError, TypeError) as e:
            self._give_up(e)
            return {}

    def put(self, found: Sequence[tuple[bytes, Sequence[Sighting]]]) -> None:
        """Keep the frames of several files, by their digests."""
        rows = [
            (
                self._key(sha256),
                json.dumps([[s.at_s, s.p_indoor, " ".join(sorted(s.conditions))] for s in frames]),
            )
            for sha256, frames in found
        ]
        try:
            with self._lock:
                if self._is_open and rows:
                    self._db.execute("BEGIN IMMEDIATE")
                    self._db.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?)", rows)
                    self._db.execute("COMMIT")
        except sqlite3.Error as e:
            self._give_up(e)

    def _give_up(self, error: Exception) -> None:
        with self._lock:
            if self._is_open:
                self._is_open = False
                _log.warning("%s: %s; going on without the cache: delete it if that stays", self.path, error)

    def close(self) -> None:
        """Close the file; harmless when done twice."""
        with self._lock:
            self._is_open = False
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _sightings(frames: str) -> tuple[Sighting, ...]:
    """What `ScoreCache.put` wrote. Raises ValueError or TypeError for anything else."""
    return tuple(
        Sighting(float(at_s), float(p), frozenset(map(Condition, names.split())) if names else _NONE)
        for at_s, p, names in json.loads(frames)
    )
