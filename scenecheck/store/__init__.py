"""What audits leave behind, in SQLite or PostgreSQL. No SQL outside this package."""

from scenecheck.store.store import BEAT_S, LEASE_S, RunWriter, Store, open_store

__all__ = ["BEAT_S", "LEASE_S", "RunWriter", "Store", "open_store"]
