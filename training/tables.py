"""The figures as Markdown: what `training.validate` prints and the model card shows."""

from __future__ import annotations

from typing import Any

from scenecheck.evaluation.stress import StressReport, markdown

Json = dict[str, Any]


# --- which figures speak -------------------------------------------------------------------------


def headline(f: Json) -> Json:
    """All cameras, each judged by a net that never saw it: the recipe's folds, or the net that saw no camera."""
    found: Json = f["recipe"]["pooled"] if "recipe" in f else f.get("cameras", {}).get("all", {})
    return found


def main(f: Json) -> Json:
    """The figures that charts and conditions show: `headline`, or of the cameras kept apart."""
    return headline(f) or f["cameras"]["third"]


def sides(f: Json) -> list[tuple[str, Json]]:
    """Title and figures of each column of the tables."""
    base, found = f.get("baseline", {}), []
    if headline(f):
        made = "recipe, in folds" if "recipe" in f else "model"
        found.append((f"{made}: {_n_cameras(headline(f))}", headline(f)))
        if "all" in base:
            found.append((f"baseline: {_n_cameras(base['all'])}", base["all"]))
    if third := f.get("cameras", {}).get("third"):
        found.append((f"shipped model: the {_n_cameras(third)} kept apart", third))
        if "third" in base:
            found.append((f"baseline: the {_n_cameras(third)} kept apart", base["third"]))
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


def counted(n: int, what: str) -> str:
    """``1 room``, ``2 rooms``."""
    return f"{n} {what}" + ("" if n == 1 else "s")


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
        row(
            "cameras whose median frame is wrong at one half",
            lambda j: str(len(j["cameras_wrong_by_median"])),
        ),
        row("rooms called street", verdict("rooms", "missed")),
        row("streets called indoor", verdict("streets", "flagged")),
        row(
            "cameras `unknown`",
            lambda j: share(*j["verdicts"]["unknown"].values()) if "verdicts" in j else "–",
        ),
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


def robustness(r: Json) -> str:
    return markdown(StressReport.model_validate(r))


def robustness_words(r: Json) -> str:
    """Which corruptions cost most ranking, pull rooms furthest towards street and miss most, at the worst severity."""
    cells, at = {name: c[-1] for name, c in r["corruptions"].items()}, f"{r['severities'][-1]:g}"
    ranking = sorted(cells, key=lambda name: cells[name]["auroc"])[:3]
    pulled = sorted(cells, key=lambda name: cells[name]["shift_indoor"])[:3]
    missed = sorted(
        (name for name in cells if cells[name]["missed"]), key=lambda name: -len(cells[name]["missed"])
    )
    lost = ", ".join(f"`{name}` {len(cells[name]['missed'])}" for name in missed[:3]) or "none"
    return (
        f"At severity {at} ranking suffers most from "
        + ", ".join(f"`{name}` (AUROC {cells[name]['auroc']:.3f})" for name in ranking)
        + "; rooms are pulled furthest towards street by "
        + ", ".join(f"`{name}` ({cells[name]['shift_indoor']:+.2f})" for name in pulled)
        + f"; undamaged, the same {r['frames']} pictures reach {r['clean_auroc']:.4f}. Of {r['indoor_frames']} rooms, "
        f"judged by that single picture, so many turn to `street`: {lost}."
    )


def scope(s: Json) -> str:
    """Which drawn pictures the novelty score keeps away from a verdict, and which cameras it costs."""
    from training.scope import table

    return table(s)


def int8(i: Json) -> str:
    """Size, time and answers of int8 beside fp32."""
    from training.quantize import table

    return table(i)


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
    fitted = v["fitted_cameras"]
    kept_fitted = per_cent(fitted["recall_at_1_percent_moves"])
    return "\n\n".join([
        grid(["same view against", "pairs", "AUROC"], rows),
        (f"Same views kept at 1 % of moves accepted: {per_cent(kept)}. A pair that moved costs "
        f"{fine['compare_ms']['moved'][0]} ms on one core. On the other half of the cameras, which the constants were "
        f"chosen on, AUROC is {fitted['auroc_all']:.4f} and {kept_fitted} are kept."),
    ])  # fmt: skip
