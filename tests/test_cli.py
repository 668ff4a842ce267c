"""The command line as a technician and a script meet it: exit codes, one line, no traceback, no secret."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from scenecheck.schemas import SCHEMA_FOLDER
from tests.servers.http import HttpServer
from tests.servers.rtsp import RtspServer

COMMAND = [sys.executable, "-m", "scenecheck"]
ENV = {k: v for k, v in os.environ.items() if k != "SCENECHECK_DEBUG"} | {"CANARY": "s3cret-canary"}


def run(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env=ENV,
        check=False,
        **options,
    )
    assert "Traceback" not in done.stderr
    assert "s3cret-canary" not in done.stdout + done.stderr
    return done


@pytest.mark.parametrize(
    ("sources", "code"),
    [
        (["junction-1.jpg"], 0),
        (["junction-1.mp4"], 0),
        (["bedroom-night-ir-1.jpg"], 1),
        (["junction-1.jpg", "living-room-1.mp4"], 1),
        (["junction-1.jpg", "README.md"], 3),
        (["living-room-1.mp4", "README.md"], 1),
    ],
)
def test_check_exit_code_is_the_worst_of_its_sources(
    samples_dir: Path, sources: list[str], code: int
) -> None:
    done = run("check", *[samples_dir / s for s in sources])
    assert done.returncode == code
    lines = done.stdout.splitlines()
    assert len(lines) == len(sources)
    assert [line.split("\t")[2] for line in lines] == [str(samples_dir / s) for s in sources]


def test_check_json_keeps_to_the_published_schema(samples_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    done = run(
        "check",
        "--json",
        samples_dir / "junction-1.mp4",
        samples_dir / "kost-room-1.jpg",
        tmp_path / "broken.jpg",
    )
    schema = json.loads((SCHEMA_FOLDER / "check-1.json").read_text())
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    for report in reports:
        jsonschema.validate(report, schema)
        assert report["schema"] == "scenecheck/check/1"
    assert [r["verdict"] for r in reports] == ["street", "indoor", "unknown"]
    assert [None if r["error"] is None else r["error"]["code"] for r in reports] == [
        None,
        None,
        "picture-damaged",
    ]
    assert set(reports[2]["error"]) == {"code", "message", "try"}
    assert done.stderr == ""


def test_check_over_real_rtsp(rtsp_server: RtspServer, samples_dir: Path) -> None:
    with RtspServer(
        {"street": samples_dir / "junction-1.mp4", "room": samples_dir / "living-room-1.mp4"}
    ) as server:
        for transport in ("tcp", "udp"):
            assert run("check", server.url("street"), "--transport", transport).returncode == 0
            assert run("check", server.url("room"), "--transport", transport).returncode == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["check"], "Missing argument"),
        (["check", "no-such-file.jpg"], "no-such-path"),
        (["check", "ftp://192.0.2.1/x"], "unknown-scheme"),
        (["check", "rtsp://192.0.2.1/a b"], "bad-address"),
        (["check", "x.jpg", "--deadline", "soon"], "--deadline"),
        (["check", "x.jpg", "--deadline", "-3"], "--deadline"),
        (["check", "x.jpg", "--frames", "0"], "--frames"),
        (["check", "rtsp://192.0.2.1/", "--password-env", "NOT_SET_ANYWHERE"], "no-secret"),
        (["check", "rtsp://192.0.2.1/", "--password-file", "/no/such/file"], "no-secret"),
        (["check", "rtsp://192.0.2.1/", "--password-env", "CANARY", "--password-file", "x"], "bad-option"),
        (["check", "rtsps://192.0.2.1/", "--tls-ca", "/no/such.pem"], "--tls-ca"),
        (["check", "rtsps://192.0.2.1/", "--tls-ca", "x.pem", "--insecure"], "bad-option"),
        (["check", "{samples}/junction-1.jpg", "--user", "a"], "bad-option"),
        (["check", "{samples}/junction-1.jpg", "--explain", "/no/such/folder/x.png"], "bad-option"),
        (["check", "{samples}/junction-1.jpg", "--explain", "x.bmp"], "bad-option"),
        (
            ["check", "{samples}/junction-1.jpg", "{samples}/kitchen-1.jpg", "--explain", "x.png"],
            "bad-option",
        ),
        (["check", "{samples}/junction-1.jpg", "--provider", "nonsense"], "provider"),
        (["nonsense"], "No such command"),
        (["--nonsense"], "No such option"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(samples_dir: Path, arguments: list[str], code: str) -> None:
    done = run(*[a.replace("{samples}", str(samples_dir)) for a in arguments])
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert code in done.stderr
    assert "(try: " in done.stderr


def test_wrong_usage_of_one_source_stops_before_any_is_opened(rtsp_server: RtspServer) -> None:
    assert run("check", rtsp_server.url("h264"), "no-such-file.jpg").returncode == 2
    assert rtsp_server.connections == []


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("text.mp4", b"just a text\n", "not-a-film"),
        ("empty.mp4", b"", "empty"),
        ("dot.png", None, "too-small"),
        ("huge.png", None, "too-large"),
        ("with space.jpg", b"\xff\xd8\xff", "picture-damaged"),
    ],
)
def test_source_that_cannot_be_judged_is_exit_code_3(
    tmp_path: Path, name: str, content: bytes | None, code: str
) -> None:
    from tests.test_pictures import encoded, png_declaring

    made = {"dot.png": lambda: encoded(".png", 1, 1), "huge.png": lambda: png_declaring(12_000, 9_000)}
    (tmp_path / name).write_bytes(made[name]() if content is None else content)
    done = run("check", tmp_path / name)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.startswith("unknown\t-\t")
    assert f"{code}: " in done.stdout


@pytest.mark.parametrize(
    "fault", ["", "silent-describe", "401", "redirect-host", "garbage-rtp", "close-setup", "stall"]
)
def test_password_never_reaches_any_output(rtsp_server: RtspServer, tmp_path: Path, fault: str) -> None:
    rtsp_server.auth, rtsp_server.users = "digest", {"viewer": "s3cret-canary"}
    secret = tmp_path / "password"
    secret.write_text("s3cret-canary\nnot this line\n")
    for given in (["--password-env", "CANARY"], ["--password-file", str(secret)]):
        # `run` looks for the canary in all output.
        done = run(
            "check", rtsp_server.url("h264", fault), "--user", "viewer", *given, "--deadline", "2", "--json"
        )
        assert json.loads(done.stdout)["schema"] == "scenecheck/check/1"


def test_password_in_an_address_works_and_is_warned_about(http_server: HttpServer) -> None:
    http_server.auth, http_server.users = "basic", {"viewer": "s3cret-canary"}
    done = run("check", http_server.url("snapshot.jpg", user="viewer", password="s3cret-canary"), "--json")
    assert json.loads(done.stdout)["error"] is None
    assert "--password-env" in done.stderr


def test_explain_writes_a_mosaic_unless_proven_street(samples_dir: Path, tmp_path: Path) -> None:
    import cv2
    import numpy as np

    room, street = tmp_path / "room.png", tmp_path / "street.png"
    assert run("check", samples_dir / "bedroom-day-1.jpg", "--explain", room).returncode == 1
    assert run("check", samples_dir / "junction-1.jpg", "--explain", street).returncode == 0
    pictures = [cv2.imread(str(p)) for p in (room, street)]
    detail = []
    for picture in pictures:
        assert picture is not None
        assert picture.shape == (624, 960, 3)
        # Fine structure inside the mosaic's 60-pixel cells: none, but for the smooth heat map.
        cells = picture[:540].astype(np.float32).reshape(9, 60, 16, 60, 3)[:, 10:50, :, 10:50]
        detail.append(float(np.abs(np.diff(cells, axis=3)).mean()))
    assert detail[0] < 1.0 < detail[1]


def test_explain_without_a_frame_says_so_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"text")
    done = run("check", tmp_path / "x.mp4", "--explain", tmp_path / "why.png")
    assert done.returncode == 3
    assert "not written" in done.stderr
    assert not (tmp_path / "why.png").exists()


def on_a_terminal(*arguments: str | Path) -> str:
    """What the command shows on a terminal, without its colours."""
    parent, child = pty.openpty()
    try:
        env = ENV | {"COLUMNS": "100", "TERM": "xterm-256color"}
        process = subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=child, stderr=child, env=env)
        os.close(child)
        child = -1
        shown = b""
        while True:
            try:
                part = os.read(parent, 4096)
            except OSError:  # Linux's way of saying that the other side is closed
                break
            if not part:
                break
            shown += part
        process.wait(timeout=60)
    finally:
        os.close(parent)
        if child >= 0:
            os.close(child)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())


def test_terminal_answer_says_what_how_sure_why_how_long_and_what_next(
    samples_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "[bold]x.mp4").write_bytes(b"text")
    shown = on_a_terminal("check", samples_dir / "living-room-1.mp4", tmp_path / "[bold]x.mp4")
    for part in (
        "INDOOR",
        "living-room-1.mp4",
        "●",
        "why",
        "took",
        "take it off the air",
        "UNKNOWN",
        "not-a-film",
    ):
        assert part in shown
    assert "[bold]x.mp4" in shown


def test_interrupt_is_exit_code_130(rtsp_server: RtspServer) -> None:
    import signal

    url = rtsp_server.url("h264", "silent-describe")
    process = subprocess.Popen(
        [*COMMAND, "check", url, "--deadline", "30"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENV,
    )
    rtsp_server.wait_for(lambda: rtsp_server.requests, timeout_s=20.0)
    process.send_signal(signal.SIGINT)
    try:
        stdout, stderr = process.communicate(timeout=1.5)
    except (
        subprocess.TimeoutExpired
    ):  # Python drops an interrupt that meets it in a destructor: people press twice
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=10)
    assert (process.returncode, stdout) == (130, "")
    assert stderr.strip() == "scenecheck: interrupted"


def test_reader_of_our_output_that_leaves_is_no_traceback(samples_dir: Path) -> None:
    arguments = " ".join(str(samples_dir / "junction-1.jpg") for _ in range(3))
    script = f"'{sys.executable}' -m scenecheck check {arguments} | head -n 1"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=60, env=ENV, check=False
    )
    assert done.stdout.startswith("street\t")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_model_verify_and_info(samples_dir: Path) -> None:
    verified = run("model", "verify", "--samples", samples_dir)
    assert verified.returncode == 0
    assert [line[:3] for line in verified.stdout.splitlines()] == ["ok "] * 5
    card = json.loads(run("model", "info", "--json").stdout)
    assert card["schema"] == "scenecheck/model-card/1"
    assert card["sha256"][:12] in run("model", "info").stdout


def test_model_that_is_not_what_it_claims_is_exit_code_4(tmp_path: Path, samples_dir: Path) -> None:
    from scenecheck.card import bundled_model

    folder = bundled_model().parent
    for file in ("scenecheck.json", "scenecheck.onnx", "known_answers.npz"):
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    model = tmp_path / "scenecheck.onnx"
    model.write_bytes(model.read_bytes()[:-1000])
    done = run("check", samples_dir / "junction-1.jpg", "--model", model)
    assert (done.returncode, done.stdout) == (4, "")
    assert "model-hash" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "command", [["--help"], ["check", "--help"], ["model", "--help"], ["model", "verify", "--help"]]
)
def test_help_has_an_example_and_loads_nothing_heavy(command: list[str]) -> None:
    code = (
        "import sys\n"
        "from scenecheck.cli import cli\n"
        f"try: cli.main({command!r})\n"
        "except SystemExit: pass\n"
        "print('HEAVY', sorted({'av', 'cv2', 'numpy', 'onnxruntime', 'rich', 'httpx', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "HEAVY []" in done.stdout
    if command != ["model", "--help"]:
        assert "scenecheck " in done.stdout.partition("xample")[2]


def test_import_loads_nothing_heavy() -> None:
    code = "import scenecheck, sys; print(sorted({'av', 'cv2', 'numpy', 'onnxruntime', 'click'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"
