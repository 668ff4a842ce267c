"""Everything that can go wrong, by what a caller does next.

::

    ScenecheckError
    ├── UsageError          exit 2  the call or an input file is wrong: change it
    ├── SourceError         exit 3  the source gives no answer
    │   ├── UnreachableError        nobody answers: may pass by itself, try again later
    │   ├── RefusedError            somebody answers and says no: change address or credentials
    │   ├── StreamError             it opened, but brings no trustworthy frame
    │   └── ContentError            what came is no picture and no film
    ├── StoreError          exit 3  the store fails underway; what it said is recorded stays so
    └── ModelError          exit 4  the installation or model is not what it claims

Every error has a stable ``code``, a message of one line (what and where, never a secret), and what a
technician should try. The codes and their advice are the tables below; an unlisted code is a bug and
raises KeyError where it is written.
"""

from __future__ import annotations

from typing import ClassVar


class ScenecheckError(Exception):
    """Base of all errors raised on purpose. ``str()`` is ``message``, already free of secrets."""

    exit_code: ClassVar[int] = 3
    is_transient: ClassVar[bool] = False
    advice: ClassVar[dict[str, str]] = {}

    def __init__(self, code: str, message: str, try_: str | None = None) -> None:
        super().__init__(" ".join(message.split()))
        self.code = code
        self.try_ = self.advice[code] if try_ is None else try_

    @property
    def message(self) -> str:
        return str(self)

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        # Worker processes send errors home; the default would call __init__ with the message alone.
        return type(self), (self.code, self.message, self.try_)


class UsageError(ScenecheckError):
    """The command, an option or an input file is wrong; nothing was tried."""

    exit_code = 2
    advice: ClassVar[dict[str, str]] = {
        "bad-option": "see --help",
        "bad-address": "write it as scheme://host[:port]/path, the password by --password-env",
        "unknown-scheme": "use rtsp://, rtsps://, http://, https:// or the path of a file or folder",
        "no-such-path": "check the spelling; a camera's address starts with rtsp:// or http://",
        "no-secret": "set the environment variable, or write the password into the file",
        "no-such-manifest": "give a CSV file with the columns path,label,group",
        "bad-manifest": "correct the manifest, or leave the row out",
        "bad-baseline": "write it anew with --update-baseline REASON",
        "bad-policy": "docs/eval.md lists the keys and their defaults",
        "bad-cache": "delete the folder, or give another with --cache; it only saves time",
        "provider": "see `scenecheck model info` for what this installation of ONNX Runtime offers",
        "no-ray": "pip install 'scenecheck[ray]'",
        "ray-address": "check that the cluster is up, and that it runs the same Python, Ray and scenecheck",
        "store-address": "give a file, or postgresql+psycopg://USER@HOST/DATABASE and the password by PGPASSWORD",
        "store-unusable": "check that it is there, that it is a store, and that this user may write to it",
        "store-foreign": "give another database, or a schema of its own (?options=-csearch_path%3DNAME)",
        "store-newer": "upgrade scenecheck, or give another --db",
        "no-such-run": "check the number; a store that is new has no runs",
        "no-such-feed": "check the spelling; the store knows the feeds that were audited with it",
        "run-busy": "wait until it is done or stop it; a new run needs no --resume",
        "run-finished": "there is nothing left to resume; start a new run",
        "run-differs": "resume with what the run began with, or start a new run",
    }


class SourceError(ScenecheckError):
    """The source is there, or should be, and gives no answer."""


class UnreachableError(SourceError):
    """Nobody answers. Worth another try later."""

    is_transient = True
    advice: ClassVar[dict[str, str]] = {
        "connect-refused": "check the port (RTSP 554 or 8554, HTTP 80); is the service on?",
        "connect-timeout": "check power, cable and the route to the camera; ping it from this machine",
        "no-route": "check this machine's network and VPN; the camera's network cannot be reached from here",
        "host-unknown": "check the spelling of the host name, or use the IP address",
        "connect-reset": "the device dropped the connection: check its client limit, then restart it",
        "open-timeout": "it accepts but does not answer: restart it; check that the port is right",
        "server-busy": "the recorder has no free place: close other viewers or raise its client limit",
        "server-error": "the device reports a fault of its own: restart it and read its log",
    }


class RefusedError(SourceError):
    """Somebody answers and says no. Trying again will not help."""

    advice: ClassVar[dict[str, str]] = {
        "auth-failed": "check --user and the password; some cameras lock accounts after failures",
        "forbidden": "the account is known but may not watch this stream: give it the right to view",
        "not-found": "check the path of the address: see the manual for the camera's stream paths",
        "transport-refused": "the device refuses this transport: use --transport tcp (or udp)",
        "tls-untrusted": "give the signing authority with --tls-ca FILE; --insecure looks away",
        "tls-failed": "the port does not speak TLS: check the port, or use rtsp:// or http://",
        "redirected": "the device sends viewers to another host; if that is right, give that address instead",
        "playlist-blocked": "the playlist points to another place than its own host; check the publisher",
        "protocol-error": "the port answers, but not in this protocol: check scheme and port",
    }


class StreamError(SourceError):
    """The stream opened but brought no trustworthy frame."""

    is_transient = True
    advice: ClassVar[dict[str, str]] = {
        "first-frame-timeout": "shorten the camera's keyframe interval (GOP) to 1-2 s, or raise --deadline",
        "stream-stalled": "frames stopped coming: check the uplink's bandwidth and the camera's load",
        "stream-ended": "the device closed the stream: check its client limit and its log",
        "no-video": "the stream carries no video: check the path (audio only? wrong channel?)",
        "codec-damaged": "every picture came damaged: use --transport tcp; check cable and uplink",
        "codec-unsupported": "set the camera to H.264, H.265 or MJPEG",
        "deadline": "no answer within --deadline: raise it, or check the link",
        "judging-failed": "try it alone with `scenecheck check`; if that fails too, report the bug",
    }


class ContentError(SourceError):
    """What came is no picture and no film."""

    advice: ClassVar[dict[str, str]] = {
        "not-a-picture": "neither a picture nor a film that can be decoded: check what it is",
        "not-a-film": "the file is not a film that can be decoded: check that it was copied whole",
        "empty": "there is nothing in it: check that it was written or copied whole",
        "unreadable": "check the file's permissions and the disk",
        "picture-damaged": "the picture breaks off: fetch or copy it again",
        "too-large": "larger than any camera's picture: reduce it to at most 64 megapixels",
        "too-small": "smaller than any camera's picture: at least 16x16 pixels are needed to say anything",
        "no-pictures": "put .jpg, .png, .webp, .bmp or .tif pictures into the folder",
    }


class StoreError(ScenecheckError):
    """The store fails underway. What it said is recorded stays recorded; resume when it is well again."""

    advice: ClassVar[dict[str, str]] = {
        "store-full": "free some space, then go on with --resume: nothing recorded is lost",
        "store-failed": "check the disk or the server, then go on with --resume: nothing recorded is lost",
        "store-damaged": "restore the store from a backup",
        "run-taken": "this auditor stood still and another took the run over; leave it to that one",
    }


class ModelError(ScenecheckError):
    """The installation or the model is not what it claims to be. Nothing may be judged with it."""

    exit_code = 4
    advice: ClassVar[dict[str, str]] = {
        "model-missing": "reinstall scenecheck, or give the model with --model FILE",
        "model-card": "restore the card that came with the model",
        "model-hash": "restore model and card from the same release; never edit one alone",
        "model-shape": "use a model made by `make model`, or one with the same inputs and outputs",
        "model-answers": "this runtime computes differently: reinstall onnxruntime; try --provider cpu",
        "model-broken": "restore the model file; it cannot be loaded",
        "model-adapter": "make the adapter card and its model agree: docs/adapter.md describes every field",
        "model-preprocess": "install the scenecheck release that the model was made for",
        "worker-broken": "is there memory enough? `scenecheck model verify` starts one alone",
    }
