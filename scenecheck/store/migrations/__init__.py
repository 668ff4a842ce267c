"""The schema's steps, one file each in ``versions/``, run by `scenecheck.store.engine` when a store is opened."""
