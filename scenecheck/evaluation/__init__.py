"""Labelled pictures in, figures and a verdict on the model out."""
