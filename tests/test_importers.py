"""Configurations of other programs, as their documentation writes them, become valid inventories."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenecheck.errors import UsageError
from scenecheck.feeds import load
from scenecheck.feeds.write import Entry, to_yaml
from scenecheck.importers import Import, in_files, in_variables, read
from scenecheck.importers.base import slug
from tests.test_feeds import write

MEDIAMTX = """\
pathDefaults:
  sourceOnDemand: yes
paths:
  simpang lima:
    source: rtsp://admin:S3cret%21@10.1.2.3:554/Streaming/Channels/101
    rtspTransport: udp
    sourceOnDemand: yes
  Simpang-Lima:
    source: rtsps://10.1.2.4/x
    sourceFingerprint: abc
  old:
    source: rtsp://admin:S3cret%21@10.1.2.5/x
    sourceProtocol: multicast
  pushed:
  hls:
    source: https://portal.example/live/index.m3u8
  "~^cam(\\\\d+)$":
    source: rtsp://10.0.0.$G1/x
  query: {source: rtsp://10.0.0.1/x?$MTX_QUERY}
  rtmp:
    source: rtmp://u:S3cret%21@10.1.1.1/live
  broken: {source: "rtsp://u:S3cret/x"}
  pi: {source: rpiCamera}
  all_others:
"""

FRIGATE = """\
mqtt: {enabled: false}
ffmpeg: {input_args: preset-rtsp-generic}
go2rtc:
  streams:
    front:
      - rtsp://viewer:{FRIGATE_RTSP_PASSWORD}@10.0.10.11:554/live#backchannel=0
      - "ffmpeg:front#audio=opus"
    flv:
      - "ffmpeg:http://10.0.0.5/flv?app=bcs&stream=ch0.bcs&user=admin&password=pa%26ss#video=copy#audio=copy"
    nest: ["nest:?client_secret=S3cret"]
camera_groups:
  Street Side: {cameras: [back, front], order: 0}
x-common: &common
  ffmpeg:
    inputs:
      - path: rtsp://{FRIGATE_USER}:{FRIGATE_RTSP_PASSWORD}@10.0.0.3/a
        roles: [detect]
cameras:
  back:
    enabled: True
    friendly_name: Back Street
    ffmpeg:
      input_args: -avoid_negative_ts make_zero -rtsp_transport udp
      inputs:
        - path: rtsp://viewer:{FRIGATE_RTSP_PASSWORD}@10.0.10.10:554/live
          roles: [record]
        - path: rtsp://viewer:{FRIGATE_RTSP_PASSWORD}@10.0.10.10:554/cam/realmonitor?channel=1&subtype=2
          roles:
            - detect
  front:
    ffmpeg:
      inputs:
        - path: rtsp://127.0.0.1:8554/front
          input_args: preset-rtsp-restream
          roles: [record, detect]
  flv: {ffmpeg: {inputs: [{path: "rtsp://127.0.0.1:8554/flv", roles: [detect]}]}}
  nest: {ffmpeg: {inputs: [{path: "rtsp://localhost:8554/nest", roles: [detect]}]}}
  gone: {ffmpeg: {inputs: [{path: "rtsp://localhost:8554/gone", roles: [detect]}]}}
  off: {enabled: false, ffmpeg: {inputs: [{path: "rtsp://10.0.0.1/x", roles: [detect]}]}}
  merged: {<<: *common}
  empty:
"""

GO2RTC = """\
streams:
  cam1: rtsp://rtsp:${CAMERA_PASSWORD}@192.168.1.123/av_stream/ch0
  cam2:
    - rtsp://${GO_USER:admin}:${GO_PASS:S3cret}@192.168.1.124/cam/realmonitor?channel=1&subtype=0#backchannel=0
    - rtsp://admin:S3cret@192.168.1.124/cam/realmonitor?channel=1&subtype=1
  sound_first: ["rtsp://10.0.0.1/a#media=audio", "rtsp://10.0.0.1/v"]
  unifi: rtspx://192.168.1.123:7441/fD6ouM72bWoFijxK
  glitchy: ffmpeg:rtsp://u:S3cret@192.168.1.9/live#video=h264#input=rtsp/udp
  file: ffmpeg:/media/BigBuckBunny.mp4
  alias: ffmpeg:cam1#video=h264
  map: {url: "http://u:S3cret@10.0.0.7/snap.jpg"}
  query: http://10.0.0.8/snap.cgi?user=u&pwd=${CAMERA_PASSWORD}
  東京: rtsp://10.0.0.9/s
  "!": rtsp://10.0.0.10/s
  tapo: tapo://S3cret@192.168.1.5
  usb: ffmpeg:device?video=0
  headers: "https://mjpeg.example/count.mjpeg#header=Authorization: Bearer S3cret"
  loop: ffmpeg:loop2
  loop2: ffmpeg:loop
  exec: exec:ffmpeg -i rtsp://u:S3cret@10.0.0.1/x
  partly: rtsp://u:S3cret${UNSET_SUFFIX}@10.0.0.1/x
  two: http://u:S3cret@10.0.0.1/x?token=other
  secret: !secret camera
  nothing:
"""


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "FRIGATE_USER",
        "FRIGATE_RTSP_PASSWORD",
        "CAMERA_PASSWORD",
        "GO_USER",
        "GO_PASS",
        "UNSET_SUFFIX",
    ):
        monkeypatch.delenv(name, raising=False)


def imported(folder: Path, text: str) -> tuple[Import, dict[str, Entry], dict[str, list[str]]]:
    """What was read, the entries by id as the written inventory has them, the variables to set."""
    made = read(write(folder, text, "config.yml"))
    entries, variables = in_variables(made.found)
    inventory = load(write(folder, to_yaml(entries)))
    assert [f.id for f in inventory.feeds] == [e["id"] for e in entries]
    said = f"{made!r} {to_yaml(entries)} {made.skipped} {made.notes} {variables}"
    assert "S3cret" not in said
    assert "pa%26ss" not in said
    return made, {e["id"]: e for e in entries}, variables


def skipped(made: Import) -> dict[str, tuple[int, str]]:
    return {remark.name: (remark.line, remark.text) for remark in made.skipped}


def test_mediamtx_paths_that_are_pulled_become_feeds(tmp_path: Path) -> None:
    made, entries, variables = imported(tmp_path, MEDIAMTX)
    assert made.kind == "mediamtx"
    assert entries == {
        "simpang-lima": {
            "id": "simpang-lima",
            "name": "simpang lima",
            "url": "rtsp://10.1.2.3:554/Streaming/Channels/101",
            "user": "admin",
            "password": {"env": "SIMPANG_LIMA_PASSWORD"},
            "transport": "udp",
        },
        "simpang-lima-2": {"id": "simpang-lima-2", "name": "Simpang-Lima", "url": "rtsps://10.1.2.4/x"},
        "old": {
            "id": "old",
            "url": "rtsp://10.1.2.5/x",
            "user": "admin",
            "password": {"env": "SIMPANG_LIMA_PASSWORD"},
        },
        "hls": {"id": "hls", "url": "https://portal.example/live/index.m3u8"},
    }
    assert variables == {"SIMPANG_LIMA_PASSWORD": ["simpang-lima", "old"]}
    left_out = skipped(made)
    assert {name: line for name, (line, _) in left_out.items()} == {
        "pushed": 14,
        "~^cam(\\d+)$": 18,
        "query": 19,
        "rtmp": 21,
        "broken": 22,
        "pi": 23,
        "all_others": 24,
    }
    assert "a client publishes it" in left_out["pushed"][1]
    assert left_out["rtmp"][1].startswith("rtmp:// is not spoken here")
    assert "depends on who asks" in left_out["query"][1]
    assert {n.name for n in made.notes} == {"Simpang-Lima", "old"}


def test_mediamtx_defaults_hold_where_a_path_says_nothing(tmp_path: Path) -> None:
    config = """\
pathDefaults: {source: "rtsp://10.0.0.1/x", rtspTransport: udp}
paths:
  a:
  b: {rtspTransport: tcp}
"""
    _, entries, _ = imported(tmp_path, config)
    assert [(e["url"], e.get("transport")) for e in entries.values()] == [
        ("rtsp://10.0.0.1/x", "udp"),
        ("rtsp://10.0.0.1/x", None),
    ]


def test_frigate_cameras_lead_to_the_stream_it_looks_at(tmp_path: Path) -> None:
    made, entries, variables = imported(tmp_path, FRIGATE)
    assert made.kind == "frigate"
    password = {"env": "FRIGATE_RTSP_PASSWORD"}
    assert entries == {
        "back": {
            "id": "back",
            "name": "Back Street",
            "url": "rtsp://10.0.10.10:554/cam/realmonitor?channel=1&subtype=2",
            "user": "viewer",
            "password": password,
            "tags": ["street-side"],
            "transport": "udp",
        },
        "front": {
            "id": "front",
            "url": "rtsp://10.0.10.11:554/live",
            "user": "viewer",
            "password": password,
            "tags": ["street-side"],
        },
        "flv": {
            "id": "flv",
            "url": "http://10.0.0.5/flv?app=bcs&stream=ch0.bcs&user=admin&password={password}",
            "password": {"env": "FLV_PASSWORD"},
        },
    }
    assert variables == {"FRIGATE_RTSP_PASSWORD": ["back", "front"], "FLV_PASSWORD": ["flv"]}
    reasons = {name: text for name, (_, text) in skipped(made).items()}
    assert reasons.keys() == {"nest", "gone", "off", "merged", "empty"}
    assert reasons["off"] == "disabled"
    assert "FRIGATE_USER" in reasons["merged"]
    assert "restream" in reasons["gone"]


def test_placeholder_outside_of_the_password_is_what_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRIGATE_USER", "viewer")
    monkeypatch.setenv("FRIGATE_RTSP_PASSWORD", "S3cret")
    _, entries, _ = imported(tmp_path, FRIGATE)
    assert entries["merged"]["user"] == "viewer"
    assert entries["merged"]["password"] == {"env": "FRIGATE_RTSP_PASSWORD"}


def test_go2rtc_streams_become_feeds_by_their_first_picture(tmp_path: Path) -> None:
    made, entries, variables = imported(tmp_path, GO2RTC)
    assert made.kind == "go2rtc"
    assert {name: entry["url"] for name, entry in entries.items()} == {
        "cam1": "rtsp://192.168.1.123/av_stream/ch0",
        "cam2": "rtsp://192.168.1.124/cam/realmonitor?channel=1&subtype=0",
        "sound_first": "rtsp://10.0.0.1/v",
        "unifi": "rtsps://192.168.1.123:7441/fD6ouM72bWoFijxK",
        "glitchy": "rtsp://192.168.1.9/live",
        "file": "/media/BigBuckBunny.mp4",
        "alias": "rtsp://192.168.1.123/av_stream/ch0",
        "map": "http://10.0.0.7/snap.jpg",
        "query": "http://10.0.0.8/snap.cgi?user=u&pwd={password}",
        "feed": "rtsp://10.0.0.9/s",
        "feed-2": "rtsp://10.0.0.10/s",
    }
    assert entries["feed"]["name"] == "東京"
    assert entries["unifi"]["insecure"] is True
    assert entries["glitchy"]["transport"] == "udp"
    assert (entries["cam2"]["user"], entries["cam2"]["password"]) == ("admin", {"env": "GO_PASS"})
    assert variables == {
        "CAMERA_PASSWORD": ["cam1", "alias", "query"],
        "GO_PASS": ["cam2"],
        "GLITCHY_PASSWORD": ["glitchy", "map"],
    }
    assert [(n.name, "GO_PASS" in n.text) for n in made.notes] == [("cam2", True)]
    reasons = {name: text for name, (_, text) in skipped(made).items()}
    assert reasons.keys() == {
        *("tapo", "usb", "headers", "loop", "loop2", "exec", "partly", "two", "secret", "nothing", ""),
    }
    assert "UNSET_SUFFIX" in reasons["partly"]
    assert "several passwords" in reasons["two"]
    assert "lead to one another" in reasons["loop"]
    assert reasons[""] == "a YAML tag (!…)"


def test_inventory_is_turned_from_table_to_yaml_without_its_passwords(tmp_path: Path) -> None:
    table = "id,url,tags,publish.hls\na,rtsp://u:S3cret@h/x,x y,out/a\nb,film.mp4,,\n"
    made = read(write(tmp_path, table, "table.csv"), folder=tmp_path)
    entries, variables = in_variables(made.found)
    assert entries == [
        {
            "id": "a",
            "url": "rtsp://h/x",
            "user": "u",
            "password": {"env": "A_PASSWORD"},
            "tags": ["x", "y"],
            "publish": {"hls": "out/a", "mask": "card"},
        },
        {"id": "b", "url": "film.mp4"},
    ]
    assert variables == {"A_PASSWORD": ["a"]}


def test_variables_of_different_passwords_have_different_names(tmp_path: Path) -> None:
    config = """\
streams:
  a.b: rtsp://u:one@h/1
  a-b: rtsp://u:two@h/2
  7: rtsp://u:three@h/3
  taken: rtsp://u:${A_B_PASSWORD_2}@h/4
  same: rtsp://u:one@h/5
"""
    entries, variables = in_variables(read(write(tmp_path, config, "go2rtc.yaml")).found)
    assert [e["password"]["env"] for e in entries] == [
        *("A_B_PASSWORD", "A_B_PASSWORD_3", "CAMERA_7_PASSWORD", "A_B_PASSWORD_2", "A_B_PASSWORD"),
    ]
    assert variables["A_B_PASSWORD"] == ["a.b", "same"]


def test_secret_files_are_written_for_their_owner_and_never_replaced_unasked(tmp_path: Path) -> None:
    config = "streams:\n  a: rtsp://u:one@h/1\n  b: rtsp://u:one@h/2\n  c: rtsp://u:${VAR}@h/3\n"
    found = read(write(tmp_path, config, "go2rtc.yaml")).found
    folder = tmp_path / "etc" / "secrets"
    entries, variables = in_files(found, folder, beside=tmp_path, force=False)
    assert [e["password"] for e in entries] == [
        {"file": "etc/secrets/a"},
        {"file": "etc/secrets/a"},
        {"env": "VAR"},
    ]
    assert variables == {"VAR": ["c"]}
    assert [(p.name, p.read_text(), p.stat().st_mode & 0o777) for p in folder.iterdir()] == [
        ("a", "one\n", 0o600)
    ]
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "a").write_text("mine\n")
    with pytest.raises(UsageError, match="is there already"):
        in_files(found, folder, beside=tmp_path, force=False)
    assert (folder / "a").read_text() == "mine\n"
    in_files(found, folder, beside=tmp_path, force=True)
    assert (folder / "a").read_text() == "one\n"


def test_configuration_that_is_none_of_these_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not recognised"):
        read(write(tmp_path, "cameras_of_mine: {}\n", "x.yml"))


def test_aliases_that_multiply_cost_nothing(tmp_path: Path) -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30)]
    text = "l0: &l0 [x]\n" + "\n".join(levels) + "\nstreams:\n  a: *l29\n  b: rtsp://10.0.0.1/x\n"
    made = read(write(tmp_path, text, "go2rtc.yaml"))
    assert ([f.entry["id"] for f in made.found], len(made.skipped)) == (["b"], 1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Simpang Lima", "simpang-lima"),
        ("..", "feed"),
        ("-a_B.c", "a_b.c"),
        ("Café №1", "cafe-no1"),
        ("", "feed"),
    ],
)
def test_any_name_has_an_id(name: str, expected: str) -> None:
    assert slug(name) == expected
