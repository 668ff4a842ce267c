"""Renders the pictures and clips of `samples/`: made-up places through a surveillance camera."""
