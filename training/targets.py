"""The aims of the model, what was reached, and by how much a missed one was missed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from training.tables import Json, counted, grid, headline, names, per_cent, share, with_ci


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
    reached = "; ".join(f"{who} {with_ci(n['value'], n['ci'])} of {n['frames']} frames "
                        f"({counted(n['cameras'], 'room')})" for who, n in night)  # fmt: skip
    values = [n["value"] for _, n in night if n["value"] is not None]
    yield Target("night", "night and infrared: rooms' frames found at 1 %: ≥ 95 %", reached,
                 below(min(values), 0.95, 3) if values else "no such room", f"{VALIDATE} {part}")  # fmt: skip
    yield Target("ece", "ECE: ≤ 0.02", f"cameras {with_ci(fr['ece'], fr['ece_ci'])}"
                 + (f"; held-out sources {held['frames']['ece']:.3f}" if held else ""),
                 above(fr["ece"], 0.02, 3), f"{VALIDATE} {part}")  # fmt: skip


def _verdicts(j: Json, part: str) -> Target:
    v = j["verdicts"]
    missed, flagged, unknown = len(v["rooms"]["missed"]), len(v["streets"]["flagged"]), v["unknown"]
    by = [f"{counted(missed, 'room')} missed"] * (missed > 0)
    by += [f"{counted(flagged, 'street')} flagged"] * (flagged > 0)
    if (over := unknown["k"] / unknown["n"] - 0.03) > 0:
        by.append(f"{100 * over:.1f} points of `unknown`")
    reached = (f"{share(missed, v['rooms']['n'], v['rooms']['missed_ci'])} / "
               f"{share(flagged, v['streets']['n'], v['streets']['flagged_ci'])}, "
               f"`unknown` {share(*unknown.values())}")  # fmt: skip
    aim = "rooms missed / streets called indoor (verdicts of cameras): 0 / 0 at ≤ 3 % `unknown`"
    return Target("verdicts", aim, reached, ", ".join(by) or None, f"{VALIDATE} {part.split(maxsplit=1)[0]}")


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
    by = zip(r["severities"], r["corruptions"]["looks_like_cctv"], strict=True)
    shifts = {s: max((c["shift_street"], c["shift_indoor"]), key=abs) for s, c in by}
    worst = max(abs(v) for v in shifts.values())
    reached = ", ".join(f"{v:+.3f} at severity {s}" for s, v in shifts.items())
    yield Target("look", "“looks like CCTV” alone moves p_indoor by ≤ 0.05 on average", reached,
                 above(worst, 0.05, 3), f"{VALIDATE} robustness")  # fmt: skip


def _view(v: Json) -> Iterator[Target]:
    fine, command = v["fine"], f"{VALIDATE} view"
    value, kept, ms = fine["auroc_all"], fine["recall_at_1_percent_moves"], fine["compare_ms"]["moved"][0]
    fitted = v["fitted_cameras"]
    yield Target("view", "same view against moved, AUROC over pairs: ≥ 0.998",
                 f"{value:.4f} (cameras its constants were chosen on: {fitted['auroc_all']:.4f})",
                 below(value, 0.998, 4), command)  # fmt: skip
    yield Target("view_recall", "same views kept at 1 % of moves accepted: ≥ 97 %",
                 f"{per_cent(kept)} (cameras chosen on: {per_cent(fitted['recall_at_1_percent_moves'])})",
                 below(kept, 0.97, 3), command)  # fmt: skip
    yield Target(
        "view_time", "view comparison: ≤ 5 ms a pair on one core", f"{ms} ms", above(ms, 5, 1), command
    )


def _int8(i: Json) -> Iterator[Target]:
    command = f"{VALIDATE} int8"
    if p := i.get("pictures"):
        differ, shift = p["verdicts_that_differ"], abs(p["auroc"]["difference"])
        by = [counted(len(differ), "camera")] * bool(differ) + [f"AUROC by {shift:.4f}"] * (shift > 0.001)
        reached = (
            f"{len(differ)} of {p['cameras']} differ ({names(differ)}); AUROC {p['auroc']['difference']:+.4f}"
        )
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


def table(f: Json) -> str:
    rows = [[t.aim, t.reached, "**met**" if t.missed_by is None else f"missed by {t.missed_by}", f"`{t.command}`"]
            for t in targets(f)]  # fmt: skip
    return grid(["target", "reached", "", "command"], rows)
