"""The figures as Markdown: what `training.validate` prints and the model card shows, and the table of targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


# --- which figures speak -------------------------------------------------------------------------


def headline(f: Json) -> Json:
    """All cameras, each judged by a net that never saw it: the recipe's folds, or the net that saw no camera."""
    found: Json = f["recipe"]["pooled"] if "recipe" in f else f.get("cameras", {}).get("all", {})
    return found


def sides(f: Json) -> list[tuple[str, Json]]:
    """Title and figures of each column of the tables."""
    base, found = f.get("baseline", {}), []
    if headline(f):
        made = "recipe, in folds" if "recipe" in f else "model"
        found.append((f"{made}: {_n_cameras(headline(f))}", headline(f)))
        if "all" in base:
            found.append(("baseline: the same", base["all"]))
    if third := f.get("cameras", {}).get("third"):
        found.append((f"shipped model: the {_n_cameras(third)} kept apart", third))
        if "third" in base:
            found.append(("baseline: the same", base["third"]))
    return found


def _n_cameras(j: Json) -> str:
    return f"{j['n']['cameras']} cameras"


# --- small pieces --------------------------------------------------------------------------------


def per_cent(value: float, digits: int = 1) -> str:
    """``0.98`` → ``98 %``."""
    text = f"{100 * value:.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + " %"


def with_ci(value: float | None, ci: list[float] | None, digits: int = 3) -> str:
    if value is None:
        return "–"
    return f"{value:.{digits}f}" + ("" if ci is None else f" [{ci[0]:.{digits}f}, {ci[1]:.{digits}f}]")


def share(k: int, n: int, ci: list[float] | None) -> str:
    """``3 of 42 [1 %, 19 %]``."""
    if n == 0:
        return "–"
    return f"{k} of {n}" + ("" if ci is None else f" [{per_cent(ci[0])}, {per_cent(ci[1])}]")


def names(found: list[str] | Json) -> str:
    return ", ".join(found) or "none"


def grid(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


# --- the tables ----------------------------------------------------------------------------------


def frames(f: Json) -> str:
    """Ranking, calibration and verdicts, a column for each net and set of cameras."""
    found = sides(f)

    def row(title: str, cell: Any) -> list[str]:
        return [title, *(cell(j) for _, j in found)]

    def verdict(name: str, key: str) -> Any:
        def cell(j: Json) -> str:
            v = j.get("verdicts", {}).get(name)
            return "–" if v is None else share(len(v[key]), v["n"], v[f"{key}_ci"])

        return cell

    rows = [row("frame AUROC", lambda j: with_ci(j["frames"]["auroc"], j["frames"]["auroc_ci"], 4))]
    for fpr in ("0.005", "0.01"):
        title = f"rooms' frames found at {per_cent(float(fpr))} of the streets' flagged"
        rows.append(row(title, lambda j, fpr=fpr: with_ci(*j["frames"]["recall_at_fpr"][fpr].values())))
    rows += [
        row("ECE", lambda j: with_ci(j["frames"]["ece"], j["frames"]["ece_ci"])),
        row("cameras whose median frame is wrong at one half", lambda j: str(len(j["cameras_wrong_by_median"]))),
        row("rooms called street", verdict("rooms", "missed")),
        row("streets called indoor", verdict("streets", "flagged")),
        row("cameras `unknown`", lambda j: share(*j["verdicts"]["unknown"].values()) if "verdicts" in j else "–"),
    ]
    return grid(["", *(title for title, _ in found)], rows)


def verdict_names(f: Json) -> str:
    """Who the wrong and unknown cameras are."""
    lines = []
    for title, j in sides(f):
        if "verdicts" in j:
            v = j["verdicts"]
            lines.append(
                f"- **{title}.** Rooms called street: {names(v['rooms']['missed'])}. Streets called indoor: "
                f"{names(v['streets']['flagged'])}. `unknown` rooms: {names(v['rooms']['unknown'])}; "
                f"`unknown` streets: {names(v['streets']['unknown'])}."
            )
    return "\n".join(lines)


def slices(j: Json) -> str:
    """Per flag, cameras as the unit: they are independent, their frames are not."""
    rows = []
    for flag, s in j["slices"].items():
        rooms, streets = s["rooms"], s["streets"]
        called = rooms["cameras_called"], streets["cameras_called"]
        rows.append([
            flag,
            f"{rooms['frames']} + {streets['frames']}",
            share(called[0]["indoor"], rooms["cameras"], rooms["ci"]["indoor"]),
            share(called[0]["street"], rooms["cameras"], rooms["ci"]["street"]),
            share(called[1]["indoor"], streets["cameras"], streets["ci"]["indoor"]),
            share(called[0]["unknown"], rooms["cameras"], rooms["ci"]["unknown"]),
            share(called[1]["unknown"], streets["cameras"], streets["ci"]["unknown"]),
        ])  # fmt: skip
    head = ["flag", "frames (rooms + streets)", "rooms found", "rooms missed", "streets flagged", "rooms `unknown`",
            "streets `unknown`"]  # fmt: skip
    return grid(head, rows)


def source_folds(s: Json) -> str:
    """Leave-sources-out on the photographs, as they are and as bad cameras would show them."""
    rows = []
    for name in ("as_they_are", "as_cameras_show_them"):
        for part in (*s[name]["folds"], s[name]["pooled"]):
            fr, n = part["frames"], part["n"]
            title = f"fold {part['fold']}" if "fold" in part else "**all**"
            recall = [with_ci(*fr["recall_at_fpr"][fpr].values()) for fpr in ("0.005", "0.01")]
            rows.append([name.replace("_", " "), title, str(part["sources"]), f"{n['indoor_frames']} of {n['frames']}",
                         with_ci(fr["auroc"], fr["auroc_ci"], 4), *recall, f"{fr['ece']:.3f}"])  # fmt: skip
    head = ["pictures", "held out", "sources", "rooms", "AUROC", "recall at 0.5 %", "recall at 1 %", "ECE"]
    return grid(head, rows)


def clips(c: Json) -> str:
    titles = {"strangers": "cameras the shipped net never saw", "learned": "cameras it has learned from"}
    lines = []
    for key, title in titles.items():
        if part := c.get(key):
            lines.append(f"- {part['n']} clips ({part['rooms']} of rooms) of {title}: {part['right']} right, "
                         f"{len(part['unknown'])} `unknown`, {len(part['wrong'])} wrong.")  # fmt: skip
            for kind in ("wrong", "unknown"):
                lines += [f"  - {kind}: `{name}` ({why})" for name, why in part[kind].items()]
    return "\n".join(lines)


def view(v: Json) -> str:
    fine = v["fine"]
    n, kept = fine["n"], fine["recall_at_1_percent_moves"]
    rows = [
        ["other cameras", f"{n['same']} : {n['others']}", with_ci(fine["auroc_others"], fine["auroc_others_ci"], 4)],
        ["other cameras of the same label and kind", f"{n['same']} : {n['hard']}",
         with_ci(fine["auroc_hard"], fine["auroc_hard_ci"], 4)],
        ["the same camera turned, tilted, zoomed, hung elsewhere", f"{n['same']} : {n['turned']}",
         with_ci(fine["auroc_turned"], None, 4)],
    ]  # fmt: skip
    moved = v["fine"]["compare_ms"]["moved"][0]
    return (
        grid(["same view against", "pairs", "AUROC"], rows)
        + f"\n\nSame views kept at 1 % of moves accepted: {per_cent(kept)}. A pair costs {moved} ms on one core."
    )


# --- targets -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """One aim: what was reached, by how much it was missed (None: met), and the command that prints it."""

    key: str
    aim: str
    reached: str
    missed_by: str | None
    command: str


VALIDATE = "python -m training.validate --part"


def targets(f: Json) -> list[Target]:
    """Every target whose figure is there."""
    return [
        *(_ranking(f) if headline(f) else ()),
        *(_clips(f["clips"]) if "clips" in f else ()),
        *(_robust(f["robustness"]) if "robustness" in f else ()),
        *(_view(f["view"]) if "view" in f else ()),
        *(_int8(f["int8"]) if "int8" in f else ()),
    ]


def _ranking(f: Json) -> Iterator[Target]:
    j, part = headline(f), "recipe sources" if "recipe" in f else "cameras sources"
    fr, held = j["frames"], f.get("sources", {}).get("as_they_are", {}).get("pooled")
    found = [("auroc", "frame AUROC, street against indoor: ≥ 0.999", 0.999, 4,
              lambda g: (g["auroc"], g["auroc_ci"])),
             ("recall", "rooms' frames found at 0.5 % of streets' flagged: ≥ 98 %", 0.98, 3,
              lambda g: tuple(g["recall_at_fpr"]["0.005"].values()))]  # fmt: skip
    for key, aim, at_least, digits, of in found:
        values = [of(fr)[0], *([of(held["frames"])[0]] if held else [])]
        reached = f"cameras {with_ci(*of(fr), digits)}"
        reached += f"; held-out sources {with_ci(*of(held['frames']), digits)}" if held else ""
        yield Target(key, aim, reached, below(min(values), at_least, digits), f"{VALIDATE} {part}")
    yield _verdicts(j, part)
    night = [("cameras", j["night_or_ir"])]
    if held:
        night.append(("held-out sources", held["night_or_ir"]))
    reached = "; ".join(f"{who} {with_ci(n['value'], n['ci'])} of {n['frames']} frames ({n['cameras']} rooms)"
                        for who, n in night)  # fmt: skip
    values = [n["value"] for _, n in night if n["value"] is not None]
    yield Target("night", "night and infrared: rooms' frames found at 1 %: ≥ 95 %", reached,
                 below(min(values), 0.95, 3) if values else "no such room", f"{VALIDATE} {part}")  # fmt: skip
    yield Target("ece", "ECE: ≤ 0.02", f"cameras {with_ci(fr['ece'], fr['ece_ci'])}"
                 + (f"; held-out sources {held['frames']['ece']:.3f}" if held else ""),
                 above(fr["ece"], 0.02, 3), f"{VALIDATE} {part}")  # fmt: skip


def _verdicts(j: Json, part: str) -> Target:
    v = j["verdicts"]
    missed, flagged, unknown = len(v["rooms"]["missed"]), len(v["streets"]["flagged"]), v["unknown"]
    by = [f"{missed} rooms missed"] * (missed > 0) + [f"{flagged} streets flagged"] * (flagged > 0)
    if (over := unknown["k"] / unknown["n"] - 0.03) > 0:
        by.append(f"{per_cent(over)} too many `unknown`")
    reached = (f"{share(missed, v['rooms']['n'], v['rooms']['missed_ci'])} / "
               f"{share(flagged, v['streets']['n'], v['streets']['flagged_ci'])}, "
               f"`unknown` {share(*unknown.values())}")  # fmt: skip
    aim = "rooms missed / streets called indoor (verdicts of cameras): 0 / 0 at ≤ 3 % `unknown`"
    return Target("verdicts", aim, reached, ", ".join(by) or None, f"{VALIDATE} {part.split()[0]}")


def _clips(c: Json) -> Iterator[Target]:
    n, right = (sum(part[k] for part in c.values()) for k in ("n", "right"))
    reached = f"{right} of {n}"
    if "learned" in c:
        reached += f" ({c['strangers']['right']} of {c['strangers']['n']} of cameras kept apart)"
    unknown, wrong = (sum(len(part[k]) for part in c.values()) for k in ("unknown", "wrong"))
    by = None if right == n else f"{wrong} wrong, {unknown} `unknown`"
    yield Target("clips", "every real clip right by `scenecheck check`", reached, by, f"{VALIDATE} clips")


def _robust(r: Json) -> Iterator[Target]:
    if "looks_like_cctv" not in r["corruptions"]:
        return
    by = r["corruptions"]["looks_like_cctv"]
    shifts = {s: max((c["shift_street"], c["shift_indoor"]), key=abs) for s, c in by.items()}
    worst = max(abs(v) for v in shifts.values())
    reached = ", ".join(f"{v:+.3f} at severity {s}" for s, v in shifts.items())
    yield Target("look", "“looks like CCTV” alone moves p_indoor by ≤ 0.05 on average", reached,
                 above(worst, 0.05, 3), f"{VALIDATE} robustness")  # fmt: skip


def _view(v: Json) -> Iterator[Target]:
    fine, command = v["fine"], f"{VALIDATE} view"
    value, kept, ms = fine["auroc_all"], fine["recall_at_1_percent_moves"], fine["compare_ms"]["moved"][0]
    yield Target("view", "same view against moved, AUROC over pairs: ≥ 0.998", f"{value:.4f}",
                 below(value, 0.998, 4), command)  # fmt: skip
    yield Target("view_recall", "same views kept at 1 % of moves accepted: ≥ 97 %", per_cent(kept),
                 below(kept, 0.97, 3), command)  # fmt: skip
    yield Target("view_time", "view comparison: ≤ 5 ms a pair on one core", f"{ms} ms", above(ms, 5, 1), command)


def _int8(i: Json) -> Iterator[Target]:
    command = f"{VALIDATE} int8"
    if p := i.get("pictures"):
        differ, shift = p["verdicts_that_differ"], abs(p["auroc"]["difference"])
        by = [f"{len(differ)} cameras"] * bool(differ) + [f"AUROC by {shift:.4f}"] * (shift > 0.001)
        reached = f"{len(differ)} of {p['cameras']} differ ({names(differ)}); AUROC {p['auroc']['difference']:+.4f}"
        aim = "int8 against fp32: no camera's verdict differs, AUROC within 0.001"
        yield Target("int8_verdicts", aim, reached, ", ".join(by) or None, command)
    for n, ratio in (("1", 0.45), ("32", 0.55)):
        found = i["time"][n]["ratio"]
        yield Target(f"int8_time_{n}", f"int8's time at batch {n}: ≤ {ratio}× fp32's (with VNNI)", f"{found}×",
                     above(found, ratio, 2), command)  # fmt: skip
    size, ms = i["bytes"]["int8"] / 1e6, i["time"]["1"]["int8_ms"]
    yield Target("int8_size", "int8's size: ≤ 6 MB", f"{size:.1f} MB", above(size, 6, 1), command)
    yield Target("time", "a picture by int8: ≤ 5 ms on one modern core", f"{ms} ms", above(ms, 5, 1), command)


def below(value: float, at_least: float, digits: int) -> str | None:
    """By how much a value misses what it should at least be; None when it does not."""
    return None if value >= at_least else f"{at_least - value:.{digits}f}"


def above(value: float, at_most: float, digits: int) -> str | None:
    return None if value <= at_most else f"{value - at_most:.{digits}f}"


def target_table(f: Json) -> str:
    rows = [[t.aim, t.reached, "**met**" if t.missed_by is None else f"missed by {t.missed_by}", f"`{t.command}`"]
            for t in targets(f)]  # fmt: skip
    return grid(["target", "reached", "", "command"], rows)


# --- all of it -----------------------------------------------------------------------------------


def text(f: Json) -> str:
    """Whatever is there, under headings."""
    parts = []
    if sides(f):
        parts += ["## Cameras", frames(f), verdict_names(f), "## Slices", slices((headline(f) or f["cameras"]["third"]))]
    if "sources" in f:
        parts += ["## Held-out sources", source_folds(f["sources"])]
    if "clips" in f:
        parts += ["## Clips", clips(f["clips"])]
    if "robustness" in f:
        from training.robustness import table

        parts += ["## Robustness", table(f["robustness"])]
    if "int8" in f:
        from training.quantize import table as int8_table

        parts += ["## int8", int8_table(f["int8"])]
    if "view" in f:
        parts += ["## View", view(f["view"])]
    return "\n\n".join([*parts, "## Targets", target_table(f)])
