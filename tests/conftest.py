"""Fixtures shared by all tests: real servers, clips with frame numbers, sample pictures.

Each server starts once per session and is handed out clean: nothing seen yet, users and defaults
as built.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.servers.gst_process import GstServer, NotInstalledError
from tests.servers.http import HttpServer
from tests.servers.media import Clips
from tests.servers.rtsp import RtspServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.postgres import PostgresServer

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class TestAuthority:
    """A certificate authority made for this session; ``pem`` is the file a client must trust."""

    __test__ = False
    ca: trustme.CA
    pem: Path

    def context(self, *names: str) -> ssl.SSLContext:
        """A server context with a certificate of ``names`` (default: 127.0.0.1 and localhost)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*(names or ("127.0.0.1", "localhost"))).configure_cert(context)
        return context


@pytest.fixture(scope="session")
def samples_dir() -> Path:
    """The repository's ``samples/``."""
    return ROOT / "samples"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of pictures that are not part of the repository; skips where it is absent."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"no pictures beside the repository ({path.relative_to(ROOT.parent)})")
    return path


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Clips whose frames carry their number: ``clips["h264"]``, ``clips.make("h264", gop=5)``."""
    return Clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    ca = trustme.CA()
    pem = tmp_path_factory.mktemp("tls") / "ca.pem"
    ca.cert_pem.write_to_path(str(pem))
    return TestAuthority(ca, pem)


@pytest.fixture(scope="session")
def _rtsp(clips: Clips) -> Iterator[RtspServer]:
    with RtspServer(clips) as server:
        yield server


@pytest.fixture(scope="session")
def _rtsps(clips: Clips, authority: TestAuthority) -> Iterator[RtspServer]:
    with RtspServer(clips, tls=authority.context()) as server:
        yield server


@pytest.fixture(scope="session")
def _http(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    with HttpServer(clips, tmp_path_factory.mktemp("http")) as server:
        yield server


@pytest.fixture(scope="session")
def _https(
    clips: Clips, authority: TestAuthority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HttpServer]:
    with HttpServer(clips, tmp_path_factory.mktemp("https"), tls=authority.context()) as server:
        yield server


@pytest.fixture(scope="session")
def silent_server() -> Iterator[RtspServer]:
    """Accepts connections and never says a word: for any scheme, TLS handshakes included."""
    with RtspServer({}, mute=True) as server:
        yield server


@pytest.fixture
def rtsp_server(_rtsp: RtspServer) -> Iterator[RtspServer]:
    """``rtsp://`` on 127.0.0.1; where ``auth`` is asked: user ``viewer``, password ``secret``."""
    with _rtsp.clean():
        yield _rtsp


@pytest.fixture
def rtsps_server(_rtsps: RtspServer) -> Iterator[RtspServer]:
    """``rtsps://`` with a certificate of ``authority``."""
    with _rtsps.clean():
        yield _rtsps


@pytest.fixture
def http_server(_http: HttpServer) -> Iterator[HttpServer]:
    """``http://`` on 127.0.0.1: snapshots, MJPEG, HLS, files (see ``tests/servers/http.py``)."""
    with _http.clean():
        yield _http


@pytest.fixture
def https_server(_https: HttpServer) -> Iterator[HttpServer]:
    """``https://`` with a certificate of ``authority``."""
    with _https.clean():
        yield _https


@pytest.fixture(scope="session")
def gst_server(
    clips: Clips, authority: TestAuthority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GstServer]:
    """Debian's gst-rtsp-server playing ``h264``, ``h264-slices``, ``hevc``; skips where it is absent."""
    names = ("h264", "h264-slices", "hevc")
    certificate = tmp_path_factory.mktemp("gst") / "server.pem"
    authority.ca.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(
        str(certificate)
    )
    try:
        with GstServer({name: clips.make(name, n_frames=250) for name in names}, certificate) as server:
            yield server
    except NotInstalledError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of our own; skips where it is not installed."""
    from tests.postgres import NotInstalledError as NoPostgresError
    from tests.postgres import PostgresServer

    try:
        # Without waiting for the disk: what a power cut leaves is not tested here.
        with PostgresServer({"fsync": "off"}) as server:
            yield server
    except NoPostgresError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; skips where there is none. Not for the session: it forbids asyncio beside it."""
    from tests.browser import chromium

    with chromium() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def db_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """``--db`` of a store that does not exist yet, on each kind of database."""
    if request.param == "sqlite":
        return str(tmp_path / "store.db")
    url: str = request.getfixturevalue("postgres").fresh()
    return url
