"""The model card: figures into models/, and the page for people, its charts and the card software reads from them.

    python -m training.card [--run training/runs/shipped]    # RUN/figures.json → models/
    python -m training.card --check                          # fails where anything there disagrees; no data needed

Written are models/figures.json (all figures), the headline in models/scenecheck.json, models/figures/*.svg and
models/README.md (from model_card.md.jinja). No figure on the page was typed by hand. `--check` proves that graph,
cards, preprocessing, sample pictures, figures, charts and page belong together.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2

from scenecheck.atomic import write_whole
from scenecheck.card import load_card, read_pinned
from scenecheck.charts import (
    Axis,
    Bar,
    Bin,
    Mark,
    Series,
    bar_chart,
    heat_table,
    line_chart,
    reliability_chart,
    roc_chart,
)
from scenecheck.classifier import verify
from scenecheck.errors import ModelError
from scenecheck.precision import int8_card_path
from training import tables, targets

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
MODELS = ROOT / "models"
SAMPLES = ROOT / "samples"
RUN = HERE / "runs" / "shipped"
TEMPLATE = "model_card.md.jinja"
FIGURES, CHARTS, PAGE, CARD = "figures.json", "figures", "README.md", "scenecheck.json"
N_WORST = 6
"""Corruptions in the line chart: as many as there are colours."""

Json = dict[str, Any]


def read_json(path: Path) -> Json:
    found: Json = json.loads(path.read_text(encoding="utf-8"))
    return found


# --- charts --------------------------------------------------------------------------------------


def charts(f: Json) -> dict[str, str]:
    """File name → SVG, of whatever figures there are."""
    found = {}
    if tables.sides(f):
        main = tables.main(f)
        found["roc.svg"] = _roc(f, main)
        found["reliability.svg"] = _reliability(f)
        found["slices.svg"] = _slices(main)
    if "robustness" in f:
        found["robustness.svg"] = _robustness(f["robustness"])
        found["robustness-table.svg"] = _robustness_table(f["robustness"])
    return found


def _roc(f: Json, main: Json) -> str:
    curves = []
    for name, j in tables.sides(f):
        x, y = zip(*j["roc"], strict=True)
        curves.append(Series(name, [*x, 1.0], [*y, y[-1]]))
    marks = [Mark(0.005, "0.5 % of streets flagged"), Mark(0.01, "1 %")]
    n_street = main["n"]["frames"] - main["n"]["indoor_frames"]
    return roc_chart(curves, title="Rooms found, by streets flagged (frames)", n_street=n_street, marks=marks,
                     highest_fpr=0.1)  # fmt: skip


def _reliability(f: Json) -> str:
    sets = {
        name: [Bin(b["p"], b["share"], b["n"], *b["ci"]) for b in j["reliability"]]
        for name, j in tables.sides(f)[:2]
    }
    return reliability_chart(sets, title="What p_indoor says, and what is true")


def _slices(main: Json) -> str:
    bars = [
        Bar(flag, s["right"]["k"] / s["right"]["n"], *s["right"]["ci"],
            note=f"{s['right']['n']} cameras, {s['rooms']['cameras']} rooms")
        for flag, s in main["slices"].items()
    ]  # fmt: skip
    return bar_chart(bars, title="Cameras judged right, by flag", x=Axis("share of cameras", percent=True))


def _robustness(r: Json) -> str:
    """Mean shift of p_indoor of rooms, for the corruptions that move it most."""
    cells = r["corruptions"]
    worst = sorted(cells, key=lambda name: -max(abs(c["shift_indoor"]) for c in cells[name]))[:N_WORST]
    lines = [
        Series(name, [0.0, *r["severities"]], [0.0, *(c["shift_indoor"] for c in cells[name])])
        for name in worst
    ]
    shifts = [v for s in lines for v in s.y]
    y = Axis("mean shift of a room's p_indoor", min(-0.1, *shifts), max(0.1, *shifts))
    return line_chart(lines, title="What pulls rooms furthest", x=Axis("severity"), y=y, dots=True)


def _robustness_table(r: Json) -> str:
    values = [[c["auroc"] for c in cells] for cells in r["corruptions"].values()]
    return heat_table(list(r["corruptions"]), [f"severity {s:g}" for s in r["severities"]], values,
                      title="AUROC under each corruption", good=r["clean_auroc"], bad=0.8)  # fmt: skip


# --- page and card -------------------------------------------------------------------------------


def page(card: Json, int8: Json | None, f: Json, *, fp32_bytes: int) -> str:
    """models/README.md."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
    env.filters["per_cent"] = tables.per_cent
    missed = {t.key for t in targets.targets(f) if t.missed_by is not None}
    return env.get_template(TEMPLATE).render(
        card=card, int8=int8, f=f, t=tables, targets=targets, main=tables.main(f) if tables.sides(f) else None,
        missed=missed, charts=charts(f), fp32_mb=f"{fp32_bytes / 1e6:.1f}",
    )  # fmt: skip


def headline(f: Json, sha256: str) -> Json:
    """What the card itself says of its figures: where they are, and the ones people ask for first."""
    found: Json = {"file": FIGURES, "sha256": sha256}
    for name, j in tables.sides(f):
        fr = j["frames"]
        found[name] = {
            "frames": j["n"]["frames"], "auroc": fr["auroc"], "auroc_ci": fr["auroc_ci"],
            "recall_at_fpr": fr["recall_at_fpr"], "ece": fr["ece"],
        }  # fmt: skip
        if "verdicts" in j:
            v = j["verdicts"]
            found[name]["cameras"] = {
                "rooms": v["rooms"]["n"], "missed": len(v["rooms"]["missed"]), "streets": v["streets"]["n"],
                "flagged": len(v["streets"]["flagged"]), "unknown": v["unknown"]["k"],
            }  # fmt: skip
    return found


def rendered(models: Path, card: Json, f: Json) -> dict[Path, str]:
    """Every file that follows from card and figures, and its text."""
    int8_path = int8_card_path(models / CARD)
    int8 = read_json(int8_path) if int8_path.is_file() else None
    size = (models / card["file"]).stat().st_size
    files = {models / CHARTS / name: text for name, text in charts(f).items()}
    return {**files, models / PAGE: page(card, int8, f, fp32_bytes=size)}


def write(run: Path, models: Path) -> None:
    """Take over the figures of a run. Raises ValueError when they are of another model."""
    card, f = read_json(models / CARD), read_json(run / FIGURES)
    if f["model_sha256"] != card["sha256"]:
        raise ValueError(f"{run / FIGURES}: figures of another model; run training.validate --run {run}")
    text = json.dumps(f, indent=1) + "\n"
    card["figures"] = headline(f, hashlib.sha256(text.encode()).hexdigest())
    files = {
        models / FIGURES: text,
        models / CARD: json.dumps(card, indent=1) + "\n",
        **rendered(models, card, f),
    }
    for path in (models / CHARTS).glob("*.svg"):
        if path not in files:
            path.unlink()
    for path, content in files.items():
        path.parent.mkdir(exist_ok=True)
        write_whole(path, content)


# --- the check -----------------------------------------------------------------------------------


def disagreements(models: Path, samples: Path = SAMPLES) -> Iterator[str]:
    """Everything that does not belong together in a folder of models, as sentences."""
    try:
        for _ in verify(models / CARD, samples=samples, threads=1):
            pass
    except ModelError as e:
        yield f"{e} (make model)"
        return
    card = read_json(models / CARD)
    yield from _int8(models, card)
    pinned = card["figures"].get("sha256", "")
    try:
        f: Json = json.loads(read_pinned(models / FIGURES, pinned))
    except ModelError as e:
        yield f"{e} (python -m training.card)"
        return
    if f["model_sha256"] != card["sha256"]:
        yield f"{models / FIGURES}: figures of the model {f['model_sha256'][:12]}, the card's is {card['sha256'][:12]}"
    if headline(f, pinned) != card["figures"]:
        yield f"{models / CARD}: figures: not those of {FIGURES}"
    yield from _stale(models, card, f)


def _int8(models: Path, card: Json) -> Iterator[str]:
    """The int8 model must be of this fp32 one, with the same tiles, and measured as it lies there."""
    path = int8_card_path(models / CARD)
    if not path.is_file():
        return
    try:
        known = load_card(path)
        read_pinned(path.parent / known.file, known.sha256)
    except ModelError as e:
        yield f"{e} (python -m training.quantize)"
        return
    int8 = read_json(path)
    if int8["quantisation"]["of"] != card["sha256"]:
        yield f"{path}: made of another fp32 model (python -m training.quantize)"
    for part in ("samples", "thresholds", "input"):
        if _tiles(int8[part]) != _tiles(card[part]):
            yield f"{path}: {part}: not those of {CARD} (python -m training.quantize)"
    measured = read_json(models / FIGURES).get("int8", {}) if (models / FIGURES).is_file() else {}
    if measured and measured["sha256"] != int8["sha256"]:
        yield f"{models / FIGURES}: int8: figures of another int8 model (python -m training.validate --part int8)"


def _tiles(part: Any) -> Any:
    """Samples by what goes in, without the answers: those are each model's own."""
    return (
        [(s["path"], s["picture_sha256"], s["tile_sha256"]) for s in part] if isinstance(part, list) else part
    )


def _stale(models: Path, card: Json, f: Json) -> Iterator[str]:
    files = rendered(models, card, f)
    for path, text in files.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            yield f"{path}: not what the figures say (python -m training.card)"
    for path in (models / CHARTS).glob("*.svg"):
        if path not in files:
            yield f"{path}: no chart of these figures (python -m training.card)"


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--run", type=Path, default=RUN)
    ap.add_argument("--models", type=Path, default=MODELS)
    ap.add_argument("--check", action="store_true")
    a = ap.parse_args()
    if not a.check:
        write(a.run, a.models)
    found = list(disagreements(a.models))
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
