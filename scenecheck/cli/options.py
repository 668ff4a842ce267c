"""Options that several commands share, and their meaning."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scenecheck.duration import seconds
from scenecheck.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from scenecheck.adapter import Model
    from scenecheck.redact import Address
    from scenecheck.source import SourceOptions


class Seconds(click.ParamType[float]):
    """A duration: ``15``, ``1.5``, ``15s``, ``2m``."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return seconds(str(value))
        except ValueError as e:
            self.fail(f"{value!r}: {e}", param, ctx)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --model, --precision, --provider and --threads."""
    for option in (
        click.option(
            "--threads", type=click.IntRange(1, 256), help="Inference threads.  [default: the CPUs there are]"
        ),
        click.option(
            "--provider",
            default="cpu",
            show_default=True,
            help="ONNX Runtime provider: cpu, cuda, openvino, …",
        ),
        click.option(
            "--precision",
            type=click.Choice(["fp32", "int8"]),
            default="fp32",
            show_default=True,
            help="int8 is faster where the CPU has VNNI; taken only if it agrees with fp32 on this host.",
        ),
        click.option(
            "--model",
            "model_path",
            type=click.Path(path_type=Path),
            help="Model card (.json) or .onnx.  [default: bundled]",
        ),
    ):
        command = option(command)
    return command


def tell_fallback(classifier: Model) -> None:
    """One notice on stderr when int8 was asked for and fp32 judges."""
    if classifier.fallback is not None:
        click.echo(f"scenecheck: --precision int8: using fp32 instead: {classifier.fallback}", err=True)


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add how to reach a source: time, transport, credentials, trust."""
    for option in (
        click.option(
            "--allow-host",
            multiple=True,
            metavar="HOST",
            help="Let redirects and playlists lead to HOST too.",
        ),
        click.option("--insecure", is_flag=True, help="Do not verify TLS certificates."),
        click.option(
            "--tls-ca",
            type=click.Path(path_type=Path),
            help="PEM file of the authority that signed the camera's.",
        ),
        click.option(
            "--password-file", type=click.Path(path_type=Path), help="File whose first line is the password."
        ),
        click.option("--password-env", metavar="NAME", help="Environment variable that holds the password."),
        click.option("--user", help="User name; its password by --password-env or --password-file."),
        click.option(
            "--transport",
            type=click.Choice(["tcp", "udp"]),
            default="tcp",
            show_default=True,
            help="RTSP transport.",
        ),
        click.option(
            "--deadline", type=Seconds(), default="15s", show_default=True, help="Answer within this time."
        ),
    ):
        command = option(command)
    return command


def password(password_env: str | None, password_file: Path | None) -> str | None:
    """The password from where the options say. Raises UsageError without ever showing what was there."""
    if password_env and password_file:
        raise UsageError("bad-option", "--password-env and --password-file: give one of them")
    if password_env:
        value = os.environ.get(password_env)
        if not value:
            raise UsageError("no-secret", f"--password-env {password_env}: this variable is not set")
        return value
    if password_file:
        try:
            lines = password_file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            raise UsageError(
                "no-secret", f"--password-file {password_file}: cannot be read as text"
            ) from None
        if not lines or not lines[0]:
            raise UsageError("no-secret", f"--password-file {password_file}: its first line is empty")
        return lines[0]
    return None


def addressed(source: str, *, user: str | None, secret: str | None) -> str | Address:
    """The source with the credentials of the options, when it is an address."""
    from scenecheck.redact import Address

    if user is None and secret is None:
        return source
    if "://" not in source:
        raise UsageError("bad-option", f"{source}: --user and passwords are for addresses, this is a path")
    return Address.parse(source, user=user, password=secret)


def source_settings(
    *,
    frames: int,
    deadline: float,
    transport: str,
    tls_ca: Path | None,
    insecure: bool,
    allow_host: tuple[str, ...],
) -> SourceOptions:
    """SourceOptions for the options; every phase gets what the deadline leaves it."""
    from scenecheck.source import SourceOptions

    if tls_ca and insecure:
        raise UsageError("bad-option", "--tls-ca and --insecure contradict each other")
    if tls_ca is not None:
        from scenecheck.source.tls import trust_file

        trust_file(tls_ca)
    return SourceOptions(
        frames=frames,
        deadline_s=deadline,
        transport="udp" if transport == "udp" else "tcp",
        tls_ca=tls_ca,
        insecure=insecure,
        allow_hosts=frozenset(allow_host),
    )
