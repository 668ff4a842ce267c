"""The command line. Commands parse, call one function and print; only `main` exits.

Nothing heavy is imported here: the commands import what they need when they run.
"""

from __future__ import annotations

import os
import sys

import click

from scenecheck import __version__
from scenecheck.cli.audit import accept, audit
from scenecheck.cli.check import check
from scenecheck.cli.evaluate import evaluate
from scenecheck.cli.feeds import feeds
from scenecheck.cli.model import model
from scenecheck.cli.report import report
from scenecheck.errors import ScenecheckError, UsageError

EXIT_CODES = """\b
Exit codes:
  0    proven street, or nothing found, or no worse than the baseline
  1    found: an indoor view, or a model that got worse
  2    wrong usage or wrong input file
  3    no answer: unknown, unreachable, damaged
  4    the installation or model is not what it claims to be
  130  interrupted
"""


@click.group(
    epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="scenecheck")
def cli() -> None:
    """Find the camera that no longer looks at the street.

    \b
    Example:
      scenecheck check rtsp://192.0.2.7/stream1 --user viewer --password-env CAMERA
    """


cli.add_command(accept)
cli.add_command(audit)
cli.add_command(check)
cli.add_command(evaluate)
cli.add_command(feeds)
cli.add_command(model)
cli.add_command(report)


def main() -> None:
    """Run the command line and exit with its code; errors are one line, never a traceback."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        _say("interrupted")
        code = 130
    except click.ClickException as e:
        context = getattr(e, "ctx", None)
        _say(e.format_message(), f"{context.command_path if context else 'scenecheck'} --help")
        code = UsageError.exit_code
    except click.exceptions.Exit as e:
        code = e.exit_code
    except ScenecheckError as e:
        _say(f"{e.code}: {e}", e.try_)
        code = e.exit_code
    except BrokenPipeError:
        # Whoever read our output left; writing on would only raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 3
    except Exception as e:
        if os.environ.get("SCENECHECK_DEBUG"):
            raise
        from scenecheck.redact import redact

        _say(
            f"internal error: {type(e).__name__}: {redact(str(e))}",
            "set SCENECHECK_DEBUG=1 and report what it prints",
        )
        code = 3
    sys.exit(code if isinstance(code, int) else 0)


def _say(text: str, try_: str = "") -> None:
    click.echo(f"scenecheck: {text}" + (f" (try: {try_})" if try_ else ""), err=True)
