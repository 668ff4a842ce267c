"""`scenecheck check`: one technician, one camera, one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from scenecheck.cli.options import (
    addressed,
    model_options,
    password,
    source_options,
    source_settings,
    tell_fallback,
)
from scenecheck.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scenecheck.pipeline import Judgement


@click.command(short_help="Judge a camera, file or folder now.")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--frames", type=click.IntRange(1, 60), default=5, show_default=True, help="Frames to look at, at most."
)
@source_options
@click.option(
    "--explain", metavar="OUT.png", help="Draw where the model saw an interior (mosaic unless proven street)."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a source on stdout.")
@model_options
def check(
    sources: tuple[str, ...],
    frames: int,
    explain: str | None,
    as_json: bool,
    model_path: Path | None,
    provider: str,
    threads: int | None,
    precision: str,
    user: str | None,
    password_env: str | None,
    password_file: Path | None,
    **reach: Any,
) -> int:
    """Judge cameras, films, pictures or folders of pictures: street, indoor or unknown.

    SOURCE is an address (rtsp://, rtsps://, http://, https://: a snapshot, MJPEG, HLS or a film) or a
    path. Of several sources the worst counts for the exit code.

    \b
    Examples:
      scenecheck check rtsp://192.0.2.7/stream1 --user viewer --password-env CAMERA
      scenecheck check https://portal.example/cam12.jpg --json
      scenecheck check recording.mp4 --explain why.png
      scenecheck check rtsp://192.0.2.7/stream1 && ./publish.sh
    """
    settings = source_settings(frames=frames, **reach)
    secret = password(password_env, password_file)
    from scenecheck.source import open_source

    opened = [open_source(addressed(s, user=user, secret=secret), settings) for s in sources]
    target = _picture_path(explain, len(opened))
    _warn_of_passwords(sources)

    from scenecheck.classifier import Classifier
    from scenecheck.cli import output
    from scenecheck.pipeline import look

    judgements: list[Judgement] = []
    with Classifier(model_path, provider=provider, threads=threads, precision=precision) as classifier:
        tell_fallback(classifier)
        for source in opened:
            with output.waiting(source.name, quiet=as_json):
                judgement = look(source, classifier, frames=frames)
            judgements.append(judgement)
            if as_json:
                output.print_json(judgement, classifier)
            else:
                output.print_judgement(judgement, classifier.card.thresholds)
            if target is not None:
                _explain(judgement, target)
    return exit_code(judgements)


def exit_code(judgements: Sequence[Judgement]) -> int:
    """The worst of several answers: an interior (1), then no answer (3), then street (0)."""
    labels = {j.verdict.label.value for j in judgements}
    if "indoor" in labels:
        return 1
    return 0 if labels == {"street"} else 3


def _picture_path(explain: str | None, n_sources: int) -> Path | None:
    if explain is None:
        return None
    from pathlib import Path

    path = Path(explain)
    if n_sources != 1:
        raise UsageError("bad-option", "--explain: one source at a time")
    if path.suffix.lower() != ".png":
        raise UsageError("bad-option", f"--explain {explain}: expected a name that ends in .png")
    if not path.parent.is_dir():
        raise UsageError("bad-option", f"--explain {explain}: the folder {path.parent} does not exist")
    return path


def _explain(judgement: Judgement, path: Path) -> None:
    if judgement.evidence is None:
        click.echo(f"scenecheck: --explain {path}: not written, there was no frame to explain", err=True)
        return
    import cv2

    from scenecheck.mask import explanation

    verdict = judgement.verdict
    where = (
        judgement.source if verdict.p_indoor is None else f"{judgement.source}: {verdict.p_indoor:.1%} indoor"
    )
    picture = explanation(
        judgement.evidence.tile, judgement.evidence.heat, label=verdict.label, lines=(where, verdict.reason)
    )
    try:
        path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    except OSError as e:
        raise UsageError(
            "bad-option", f"--explain {path}: {e.strerror}", "give a place that can be written"
        ) from None


def _warn_of_passwords(sources: Sequence[str]) -> None:
    from scenecheck.redact import Address

    if any("://" in s and Address.parse(s).password for s in sources):
        click.echo(
            "scenecheck: a password in an address shows in the process list and the shell's history; "
            "use --user with --password-env or --password-file",
            err=True,
        )
