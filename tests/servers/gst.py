"""Debian's gst-rtsp-server as a camera that we did not write.

Runs as its own process under the system's Python (``/usr/bin/python3 -I tests/servers/gst.py``),
where the bindings live. Needs ``gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good
glib-networking``. Prints one JSON line with the ports of its three servers (plain, digest, tls)
and serves until its standard input closes.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

NOT_INSTALLED = 77
"""Exit status that means: skip, with the reason on standard error."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", metavar="NAME=PATH", help="H.264 or H.265 in mp4")
    parser.add_argument("--certificate", required=True, metavar="PEM", help="certificate and key in one file")
    parser.add_argument("--user", default="viewer")
    parser.add_argument("--password", default="secret")
    options = parser.parse_args()
    try:
        import gi  # type: ignore[import-not-found]

        gi.require_version("Gst", "1.0")
        gi.require_version("GstRtsp", "1.0")
        gi.require_version("GstRtspServer", "1.0")
        from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # type: ignore[import-not-found]
    except (ImportError, ValueError) as error:
        print(f"gst-rtsp-server's bindings are not installed: {error}", file=sys.stderr)
        return NOT_INSTALLED
    Gst.init(None)
    if missing := [
        name for name in ("qtdemux", "rtph264pay", "rtph265pay") if not Gst.ElementFactory.find(name)
    ]:
        print(f"GStreamer has no {', '.join(missing)}: install gstreamer1.0-plugins-good", file=sys.stderr)
        return NOT_INSTALLED

    digest = GstRtspServer.RTSPAuth()
    digest.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    token = GstRtspServer.RTSPToken.new()
    token.set_string("media.factory.role", "viewer")
    digest.add_digest(options.user, options.password, token)
    tls = GstRtspServer.RTSPAuth()
    tls.set_tls_certificate(Gio.TlsCertificate.new_from_file(options.certificate))
    anonymous = GstRtspServer.RTSPToken.new()
    anonymous.set_string("media.factory.role", "viewer")
    tls.set_default_token(anonymous)

    loop = GLib.MainLoop()
    kept: list[Any] = []
    ports = {}
    for name, auth in (("plain", None), ("digest", digest), ("tls", tls)):
        server = GstRtspServer.RTSPServer()
        server.set_address("127.0.0.1")
        server.set_service("0")
        if auth:
            server.set_auth(auth)
        for clip in options.clips:
            path, _, file = clip.partition("=")
            server.get_mount_points().add_factory(f"/{path}", _factory(GstRtspServer, path, file, bool(auth)))
        if not server.attach(None):
            print(f"{name}: no port to listen on", file=sys.stderr)
            return 1
        kept.append(server)
        ports[name] = server.get_bound_port()
    print(json.dumps(ports), flush=True)
    GLib.io_add_watch(sys.stdin, GLib.PRIORITY_DEFAULT, GLib.IO_HUP | GLib.IO_IN, lambda *_: loop.quit())
    loop.run()
    return 0


def _factory(rtsp_server: Any, name: str, file: str, guarded: bool) -> Any:
    """A factory that plays ``file`` from its start for every client, parameter sets before each keyframe."""
    codec = "h265" if name.startswith("hevc") else "h264"
    factory = rtsp_server.RTSPMediaFactory()
    factory.set_launch(
        f'( filesrc location="{file}" ! qtdemux ! rtp{codec}pay name=pay0 pt=96 config-interval=-1 )'
    )
    if guarded:
        rights = rtsp_server.RTSPPermissions()
        for right in ("media.factory.access", "media.factory.construct"):
            rights.add_permission_for_role("viewer", right, True)
        factory.set_permissions(rights)
    return factory


if __name__ == "__main__":
    sys.exit(main())
