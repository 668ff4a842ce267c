"""`make demo`: the main job on the samples, for real, in under a minute.

Starts the test suite's RTSP server with sample clips as cameras, lets the installed `scenecheck`
command judge pictures and streams, and compares its answers with what the samples show.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMAND = Path(sys.executable).with_name("scenecheck")
STREET, INDOOR, NO_ANSWER = 0, 1, 3
MEANING = {STREET: "0: proven street", INDOOR: "1: an indoor view", NO_ANSWER: "3: no answer"}


def run(*arguments: str, expect: int) -> bool:
    """Run the command as a person would; say whether it exited as it should."""
    print(f"\n$ scenecheck {' '.join(arguments)}", flush=True)
    code = subprocess.run([COMMAND, *arguments], cwd=ROOT, check=False, timeout=120).returncode
    print(f"exit code {MEANING.get(code, str(code))}", flush=True)
    if code != expect:
        print(f"EXPECTED {MEANING[expect]}", flush=True)
    return code == expect


def cameras(*clips: str) -> tuple[subprocess.Popen[str], list[str]]:
    """Serve clips by RTSP in a process of their own; return it and their addresses."""
    arguments = [sys.executable, "-m", "tests.servers.rtsp", *(f"samples/{clip}" for clip in clips)]
    server = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    return server, [server.stdout.readline().strip() for _ in clips]


def main() -> int:
    server, (street, room) = cameras("junction-1.mp4", "living-room-1.mp4")
    try:
        print("A junction and a living room, as pictures, then live over RTSP:")
        ok = [
            run("check", "samples/junction-1.jpg", expect=STREET),
            run("check", "samples/bedroom-night-ir-1.jpg", expect=INDOOR),
            run("check", street, expect=STREET),
            run("check", room, "--json", expect=INDOOR),
            run("check", f"{street}?fault=silent-describe", "--deadline", "3s", expect=NO_ANSWER),
            run("model", "verify", "--samples", "samples", expect=STREET),
        ]
    finally:
        server.terminate()
        server.wait(timeout=10)
    print(f"\n{sum(ok)} of {len(ok)} answers as expected")
    return 0 if all(ok) else 1


if __name__ == "__main__":
    sys.exit(main())
