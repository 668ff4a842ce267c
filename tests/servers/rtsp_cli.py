"""``python -m tests.servers.rtsp CLIP...``: serve files as cameras until interrupted."""

from __future__ import annotations

import argparse
import signal
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.rtsp_faults import FAULTS

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    from tests.servers.rtsp import RtspServer

    table = "\n".join(f"  {name:20} {text}" for name, text in FAULTS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.servers.rtsp",
        description="Serve clips by RTSP: one URL per file is printed, ?fault=NAME makes it misbehave.",
        epilog=f"faults:\n{table}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP", help="H.264, H.265 or MJPEG file")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="default: any free port")
    parser.add_argument(
        "--tls", type=Path, metavar="CA.pem", help="serve rtsps and write the new CA's certificate here"
    )
    parser.add_argument("--auth", default="", help="basic, digest, digest-qop, digest-stale or both")
    parser.add_argument("--user", default="viewer")
    parser.add_argument("--password", default="secret")
    parser.add_argument(
        "--default", default="", metavar="QUERY", help="for every URL, e.g. fault=stall&after=50"
    )
    options = parser.parse_args(argv)
    clips = {path.stem: path for path in options.clips}
    if missing := [str(path) for path in clips.values() if not path.is_file()]:
        parser.error(f"no such file: {', '.join(missing)}")
    stop = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stop.set())
    server = RtspServer(
        clips,
        users={options.user: options.password},
        auth=options.auth,
        default=options.default,
        tls=_tls(options.host, options.tls) if options.tls else None,
        host=options.host,
        port=options.port,
    )
    with server:
        for name in clips:
            print(server.url(name), flush=True)
        stop.wait()


def _tls(host: str, ca_file: Path) -> ssl.SSLContext:
    import trustme

    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(host, "localhost", "127.0.0.1").configure_cert(context)
    return context
