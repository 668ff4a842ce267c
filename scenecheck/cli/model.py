"""`scenecheck model`: what judges here, and whether it still is what it claims to be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from scenecheck.cli.options import model_options, tell_fallback

if TYPE_CHECKING:
    from pathlib import Path


@click.group(short_help="The model: what it is, and whether it is intact.")
def model() -> None:
    """Show or verify the bundled model, or the one given with --model."""


@model.command(short_help="Name, data, thresholds and figures of the model.")
@click.option("--json", "as_json", is_flag=True, help="The whole card as JSON.")
@model_options
def info(as_json: bool, model_path: Path | None, provider: str, threads: int | None, precision: str) -> int:
    """Show the model's card, and the runtime that would judge with it here.

    \b
    Example:
      scenecheck model info
    """
    from scenecheck.classifier import Classifier
    from scenecheck.runtime import available_providers

    with Classifier(model_path, provider=provider, threads=threads, precision=precision) as classifier:
        tell_fallback(classifier)
        card = classifier.card
        if as_json:
            click.echo(card.model_dump_json(indent=2, by_alias=True))
            return 0
        rows = {
            "model": f"{card.name} {card.version}",
            "precision": classifier.precision,
            "sha256": card.sha256,
            "tile": f"{card.input.width}x{card.input.height} {card.input.colour}, {card.input.geometry}",
            "street": f"at most {card.thresholds.street_below:.1%} indoor",
            "indoor": f"at least {card.thresholds.indoor_above:.1%} indoor",
            "provider": f"{classifier.provider} (here: {', '.join(available_providers())})",
            "threads": str(classifier.threads),
        }
        for name, value in rows.items():
            click.echo(f"{name:<10}{value}")
        for name, value in card.figures.items():
            shown = value if isinstance(value, (str, int, float)) else json.dumps(value, ensure_ascii=False)
            click.echo(f"{name:<10}{shown}")
    return 0


@model.command(short_help="Check hash, shapes and known answers.")
@click.option(
    "--samples", type=click.Path(file_okay=False), help="Also judge the sample pictures of this folder."
)
@model_options
def verify(
    samples: str | None, model_path: Path | None, provider: str, threads: int | None, precision: str
) -> int:
    """Check that model, card, preprocessing and runtime still agree: exit 0, or 4 and what is off.

    \b
    Example:
      scenecheck model verify --samples samples
    """
    from pathlib import Path as PathType

    from scenecheck.classifier import verify as run

    for line in run(
        model_path,
        samples=PathType(samples) if samples else None,
        provider=provider,
        threads=threads,
        precision=precision,
    ):
        click.echo(f"ok  {line}")
    return 0
