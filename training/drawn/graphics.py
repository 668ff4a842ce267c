"""Drawings, cards and screens."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.drawn.brushes import (
    BLACK,
    WHITE,
    Colour,
    H,
    Rgb,
    Rng,
    W,
    any_colour,
    canvas,
    clip,
    lines_of_text,
    noisy,
    smooth,
    word,
    write,
)

# --- drawings ------------------------------------------------------------------------------------


def line_drawing(rng: Rng) -> Rgb:
    """Houses, faces, boxes and scribbles in one ink on paper."""
    paper, ink = ((int(rng.integers(225, 256)),) * 3, any_colour(rng, 0, 90))
    if rng.random() < 0.2:
        paper, ink = ink, (240, 240, 240)
    out, width = canvas(paper), int(rng.integers(1, 4))
    for _ in range(int(rng.integers(4, 16))):
        x, y, s = int(rng.integers(0, W)), int(rng.integers(0, H)), int(rng.integers(20, 140))
        what = int(rng.integers(5))
        if what == 0:  # a house
            cv2.rectangle(out, (x, y), (x + s, y + s), ink, width)
            roof = np.array([[x - s // 8, y], [x + s // 2, y - s // 2], [x + s + s // 8, y]])
            cv2.polylines(out, [roof], True, ink, width, cv2.LINE_AA)
            cv2.rectangle(out, (x + s // 3, y + s // 2), (x + s // 2, y + s), ink, width)
        elif what == 1:  # a face
            for dx, r in ((0, s), (-s // 3, s // 6), (s // 3, s // 6)):
                cv2.circle(out, (x + dx, y - (s // 4 if dx else 0)), r, ink, width, cv2.LINE_AA)
            cv2.ellipse(out, (x, y + s // 4), (s // 2, s // 4), 0, 0, 180, ink, width, cv2.LINE_AA)
        elif what == 2:  # a scribble
            steps = rng.normal(0, s / 6, (40, 2)).cumsum(0)
            cv2.polylines(out, [np.int32(steps + np.array([x, y]))], False, ink, width, cv2.LINE_AA)
        elif what == 3:  # a box in parallel perspective
            dx, dy = int(s * 0.5), int(s * 0.35)
            cv2.rectangle(out, (x, y), (x + s, y + s), ink, width)
            cv2.rectangle(out, (x + dx, y - dy), (x + s + dx, y + s - dy), ink, width)
            for cx, cy in ((x, y), (x + s, y), (x, y + s), (x + s, y + s)):
                cv2.line(out, (cx, cy), (cx + dx, cy - dy), ink, width, cv2.LINE_AA)
        else:
            write(out, rng, word(rng), (x, y), ink, s / 60)
    return out


def cartoon(rng: Rng) -> Rgb:
    """Flat vector art: hills or a floor, a sun, blocks with windows, trees and round people."""
    out, ink = canvas(any_colour(rng, 120)), any_colour(rng, 0, 60)
    has_outline, horizon = rng.random() < 0.6, int(rng.uniform(0.3, 0.7) * H)

    def shape(points: NDArray[np.int32], colour: Colour) -> None:
        cv2.fillPoly(out, [points], colour, cv2.LINE_AA)
        if has_outline:
            cv2.polylines(out, [points], True, ink, 2, cv2.LINE_AA)

    for k in range(int(rng.integers(1, 4))):
        xs = np.linspace(0, W, 30)
        ys = horizon + 30 * k + 25 * np.sin(xs / rng.uniform(40, 160) + rng.uniform(0, 6))
        hill = np.int32(np.r_[np.c_[xs, ys], [[W, H], [0, H]]])
        shape(hill, any_colour(rng, 40))
    for _ in range(int(rng.integers(2, 9))):
        x, y, s = int(rng.integers(0, W)), int(rng.integers(horizon, H)), int(rng.integers(25, 120))
        colour = any_colour(rng)
        if rng.random() < 0.5:
            box = np.int32([[x, y], [x + s, y], [x + s, y - 2 * s], [x, y - 2 * s]])
            shape(box, colour)
            for wy in range(y - 2 * s + s // 6, y - s // 4, max(8, s // 3)):
                for wx in range(x + s // 8, x + s - s // 8, max(8, s // 3)):
                    cv2.rectangle(out, (wx, wy), (wx + s // 6, wy + s // 6), any_colour(rng, 150), -1)
        else:
            cv2.rectangle(out, (x - s // 10, y - s), (x + s // 10, y), any_colour(rng, 40, 140), -1)
            cv2.circle(out, (x, y - s), s // 2, colour, -1, cv2.LINE_AA)
            if has_outline:
                cv2.circle(out, (x, y - s), s // 2, ink, 2, cv2.LINE_AA)
    at = (int(rng.integers(0, W)), int(rng.integers(0, horizon)))
    cv2.circle(out, at, int(rng.integers(15, 60)), (255, 220, 60), -1, cv2.LINE_AA)
    return out


def chart(rng: Rng) -> Rgb:
    """Axes with bars, lines or points, or a pie."""
    out = canvas(WHITE if rng.random() < 0.7 else any_colour(rng, 0, 60))
    ink = BLACK if int(out[0, 0].sum()) > 380 else (220, 220, 220)
    kind, n = int(rng.integers(4)), int(rng.integers(3, 12))
    if kind == 3:
        cuts = np.sort(rng.uniform(0, 360, n))
        for a, b in zip(cuts, np.r_[cuts[1:], cuts[0] + 360], strict=True):
            cv2.ellipse(
                out, (W // 2, H // 2), (130, 130), 0, float(a), float(b), any_colour(rng), -1, cv2.LINE_AA
            )
    else:
        for y in range(40, H - 40, 40):
            cv2.line(out, (60, y), (W - 30, y), (170, 170, 170), 1)
            write(out, rng, str(H - y), (15, y + 5), ink, 0.4)
        xs, colour = np.linspace(70, W - 50, n * (1 if kind == 0 else 4)), any_colour(rng)
        values = H - 40 - rng.uniform(10, H - 100, len(xs))
        for i, (x, y) in enumerate(zip(xs.astype(int), values.astype(int), strict=True)):
            if kind == 0:
                wide = (W - 120) // n * 2 // 3
                cv2.rectangle(out, (int(x), int(y)), (int(x) + wide, H - 40), any_colour(rng), -1)
            elif kind == 1 and i:
                cv2.line(out, (int(xs[i - 1]), int(values[i - 1])), (int(x), int(y)), colour, 2, cv2.LINE_AA)
            else:
                cv2.circle(out, (int(x), int(y)), 4, colour, -1, cv2.LINE_AA)
        cv2.rectangle(out, (60, 30), (W - 30, H - 40), ink, 1)
    write(out, rng, word(rng, 20), (200, 24), ink, 0.6)
    return out


def street_map(rng: Rng) -> Rgb:
    """Roads with casings, water, parks and names, as map services draw them."""
    out = canvas((238, 234, 224) if rng.random() < 0.7 else (40, 44, 52))
    for _ in range(int(rng.integers(3, 9))):
        at = rng.uniform(0, 1, 2) * (W, H)
        blob = np.int32(at + rng.normal(0, rng.uniform(30, 110), (7, 2)))
        cv2.fillPoly(out, [cv2.convexHull(blob)], ((170, 211, 223), (200, 230, 180))[int(rng.integers(2))])
    for _ in range(int(rng.integers(10, 35))):
        a, b = rng.uniform(-0.1, 1.1, (2, 2)) * (W, H)
        middle = (a + b) / 2 + rng.normal(0, 30, 2)
        line, wide = np.int32([a, middle, b]), int(rng.integers(2, 11))
        cv2.polylines(out, [line], False, (180, 170, 150), wide + 2, cv2.LINE_AA)
        road = ((255, 255, 255), (250, 214, 120), (240, 150, 120))[int(rng.integers(3))]
        cv2.polylines(out, [line], False, road, wide, cv2.LINE_AA)
    for _ in range(int(rng.integers(4, 14))):
        write(out, rng, word(rng), (int(rng.integers(0, W)), int(rng.integers(0, H))), (70, 70, 70), 0.45)
    return out


# --- cards and screens ---------------------------------------------------------------------------


def test_card(rng: Rng) -> Rgb:
    """SMPTE or EBU bars, a circle card like Philips' PM5544, a grid, a chequerboard or a zone plate."""
    level = int(rng.integers(170, 256))
    full = np.array([[1, 1, 1], [1, 1, 0], [0, 1, 1], [0, 1, 0], [1, 0, 1], [1, 0, 0], [0, 0, 1]]) * level
    out, kind = canvas((110, 110, 110)), int(rng.integers(5))
    y, x = np.mgrid[0:H, 0:W]
    if kind == 0:  # SMPTE RP 219: bars, reversed blues, ramp
        out[:] = full[x * 7 // W]
        low = y > H * 2 // 3
        out[low] = np.where((x * 7 // W % 2 == 0)[..., None], full[6 - x * 7 // W], 16)[low]
        ramp = y > H * 3 // 4
        out[ramp] = np.repeat((x * 255 // W)[..., None], 3, 2)[ramp]
    elif kind == 1:  # EBU 100/0/75/0: eight full-height bars
        out[:] = np.r_[full, [[0, 0, 0]]][x * 8 // W]
    elif kind == 2:  # a circle on a grid, with bars, gratings and a name
        out[(x % 40 < 2) | (y % 40 < 2)] = 255
        inside = (x - W // 2) ** 2 + (y - H // 2) ** 2 < 160**2
        band = np.clip((y - 20) * 6 // 320, 0, 5)
        bars = full[np.clip((x - 160) * 7 // 320, 0, 6)]
        grating = 127 + 127 * np.sign(np.sin(x**2 / rng.uniform(800, 3000)))
        card = np.where(
            (band == 0)[..., None], 255, np.where((band < 3)[..., None], bars, grating[..., None])
        )
        card = np.where((band == 5)[..., None], (x[..., None] * 255 // W), card)
        out[inside] = card[inside]
        cv2.rectangle(out, (W // 2 - 70, 24), (W // 2 + 70, 56), BLACK, -1)
        write(out, rng, word(rng, 8).upper(), (W // 2 - 60, 48), WHITE, 0.7)
    elif kind == 3:
        size = int(rng.integers(12, 60))
        out[:] = np.where(((x // size + y // size) % 2 == 0)[..., None], level, 255 - level)
    else:  # zone plate: all frequencies at once
        wave = np.cos(((x - W / 2) ** 2 + (y - H / 2) ** 2) * rng.uniform(0.002, 0.01))
        out[:] = (127 + 120 * wave)[..., None]
    return out


def no_signal(rng: Rng) -> Rgb:
    """What recorders show for a camera that is away: one colour, words, perhaps an icon or panes."""
    grounds = ((10, 40, 200), BLACK, (128, 128, 128), (30, 30, 30), (0, 0, 130), (60, 20, 90))
    out = canvas(grounds[int(rng.integers(len(grounds)))])
    ink = ((255, 255, 255), (230, 230, 0), (200, 60, 60))[int(rng.integers(3))]
    words = ("NO SIGNAL", "Video loss", "Camera offline", "No Video", "Connecting...", "Please stand by")
    across = int(rng.choice([1, 1, 2, 3]))
    for row in range(across):
        for column in range(across):
            x, y, w, h = column * W // across, row * H // across, W // across, H // across
            text = words[int(rng.integers(len(words)))]
            at = (x + int(w * rng.uniform(0.05, 0.3)), y + int(h * rng.uniform(0.3, 0.7)))
            write(out, rng, text, at, ink, rng.uniform(0.7, 2) / across)
            if across > 1:
                cv2.rectangle(out, (x, y), (x + w, y + h), (90, 90, 90), 1)
    if rng.random() < 0.4:
        cv2.circle(out, (W // 2, H // 4), 40, ink, 6, cv2.LINE_AA)
        cv2.line(out, (W // 2 - 28, H // 4 - 28), (W // 2 + 28, H // 4 + 28), ink, 6, cv2.LINE_AA)
    write(out, rng, "2026-11-24 08:15:22", (12, 24), WHITE, 0.6)
    return out


def desktop(rng: Rng) -> Rgb:
    """Windows with title bars, text, lists and buttons on a wallpaper, a task bar below."""
    a, b = (np.array(any_colour(rng), np.float32) for _ in range(2))
    ramp = np.linspace(0, 1, H, dtype=np.float32)[:, None, None]
    out = clip(np.broadcast_to(a * (1 - ramp) + b * ramp, (H, W, 3)).astype(np.float32))
    for i in range(int(rng.integers(0, 8))):
        cv2.rectangle(out, (16, 16 + 42 * i), (42, 42 + 42 * i), any_colour(rng), -1)
    for _ in range(int(rng.integers(1, 5))):
        left, top = int(rng.integers(0, W // 2)), int(rng.integers(0, H // 2))
        right, bottom = left + int(rng.integers(180, 500)), top + int(rng.integers(120, 320))
        is_dark = rng.random() < 0.4
        page, ink = ((30, 32, 36), (200, 220, 200)) if is_dark else ((250, 250, 250), (30, 30, 30))
        cv2.rectangle(out, (left, top), (right, bottom), page, -1)
        cv2.rectangle(out, (left, top), (right, top + 18), any_colour(rng, 60, 230), -1)
        cv2.rectangle(out, (left, top), (right, bottom), (110, 110, 110), 1)
        lines_of_text(out, rng, (left + 8, top + 22, min(right, W) - 8, min(bottom, H) - 4), ink)
    cv2.rectangle(out, (0, H - 22), (W, H), (40, 40, 46), -1)
    for i in range(int(rng.integers(3, 12))):
        cv2.rectangle(out, (10 + 30 * i, H - 19), (30 + 30 * i, H - 3), any_colour(rng), -1)
    return out


def document(rng: Rng) -> Rgb:
    """A page of text, in columns or with a table, or an invoice on a coloured desk top."""
    out = canvas(WHITE if rng.random() < 0.6 else any_colour(rng, 40, 200))
    margin = int(rng.integers(5, 120))
    cv2.rectangle(out, (margin, 0), (W - margin, H), (252, 252, 250), -1)
    columns = int(rng.integers(1, 4))
    wide = (W - 2 * margin) // columns
    write(out, rng, word(rng, 16).title(), (margin + 20, 36), BLACK, 1.0)
    for c in range(columns):
        box = (margin + c * wide + 12, 50, margin + (c + 1) * wide - 12, H - 10)
        lines_of_text(out, rng, box, (30, 30, 30))
    if rng.random() < 0.4:
        top, step = int(rng.integers(60, 200)), int(rng.integers(14, 30))
        cv2.rectangle(
            out, (margin + 12, top), (W - margin - 12, min(H - 8, top + 6 * step)), (252, 252, 250), -1
        )
        for k in range(7):
            cv2.line(out, (margin + 12, top + k * step), (W - margin - 12, top + k * step), (60, 60, 60), 1)
        for x in np.linspace(margin + 12, W - margin - 12, 5).astype(int):
            cv2.line(out, (int(x), top), (int(x), top + 6 * step), (60, 60, 60), 1)
    return out


def code(rng: Rng) -> Rgb:
    """A QR-like matrix or a bar code on a plain ground."""
    out, n = canvas(any_colour(rng, 150)), int(rng.integers(21, 45))
    modules = (rng.random((n, n)) < 0.5).astype(np.uint8)
    finder = np.pad(np.pad(np.ones((3, 3), np.uint8), 1), 1, constant_values=1)
    for y, x in ((0, 0), (0, n - 7), (n - 7, 0)):
        modules[y : y + 7, x : x + 7] = finder
    if rng.random() < 0.3:
        modules = np.repeat(rng.integers(0, 2, (1, 3 * n)), n, 0).astype(np.uint8)
    s = int(rng.integers(150, 350))
    pixels = cv2.resize(255 * (1 - modules), (s, s), interpolation=cv2.INTER_NEAREST)
    y, x = int(rng.integers(0, H - s + 1)), int(rng.integers(0, W - s + 1))
    out[max(0, y - 12) : y + s + 12, max(0, x - 12) : x + s + 12] = 255
    out[y : y + s, x : x + s] = pixels[..., None]
    return out


def photographed_screen(rng: Rng) -> Rgb:
    """A monitor that fills most of the view: askew, bezel, glow, moiré, reflection and noise."""
    made = (desktop, document, chart, test_card, street_map)[int(rng.integers(5))](rng)
    corners = np.float32([[0, 0], [W, 0], [W, H], [0, H]])
    inset = np.float32([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    target = corners + inset * rng.uniform(5, 70, (4, 2)).astype(np.float32)
    warp = cv2.getPerspectiveTransform(corners, np.float32(target))
    ground = 15 + 60 * smooth(rng, 5) * rng.random(3).astype(np.float32)
    cv2.fillConvexPoly(ground, np.int32(target + (target - target.mean(0)) * 0.05), (18, 18, 20))
    screen = cv2.warpPerspective(made.astype(np.float32), warp, (W, H))
    mask = cv2.warpPerspective(np.ones((H, W, 1), np.float32), warp, (W, H))[..., None]
    y, x = np.mgrid[0:H, 0:W].astype(np.float32)
    angle, pitch = rng.uniform(0, np.pi), rng.uniform(3, 9)
    moire = 1 + 0.08 * np.sin((x * np.cos(angle) + y * np.sin(angle)) / pitch)[..., None]
    lit = ground * (1 - mask) + screen * mask * moire * rng.uniform(0.6, 1)
    return noisy(lit + 40 * smooth(rng, 3, channels=1) ** 3, rng, rng.uniform(2, 8))
