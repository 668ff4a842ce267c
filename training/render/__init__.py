"""Made-up places seen by fixed cameras, both classes with one look: a program of its own, see `__main__`."""
