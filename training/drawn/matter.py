"""Nothing but matter: no place, no drawing."""

from __future__ import annotations

import cv2
import numpy as np

from training.drawn.brushes import BLACK, H, Rgb, Rng, W, any_colour, canvas, clip, noisy, smooth


def gradient(rng: Rng) -> Rgb:
    """Two or three colours that run into each other, straight or round."""
    y, x = np.mgrid[0:H, 0:W].astype(np.float32)
    angle, centre = rng.uniform(0, 2 * np.pi), rng.uniform(0, 1, 2) * (W, H)
    t = x * np.cos(angle) + y * np.sin(angle)
    if rng.random() < 0.5:
        t = np.hypot(x - centre[0], y - centre[1])
    t = ((t - t.min()) / np.ptp(t))[..., None]
    a, b, c = (np.array(any_colour(rng), np.float32) for _ in range(3))
    return noisy(a * (1 - t) ** 2 + 2 * b * t * (1 - t) + c * t**2, rng, rng.uniform(0, 4))


def texture(rng: Rng) -> Rgb:
    """White or 1/f noise, a Julia set, cells, or crossing waves."""
    kind = int(rng.integers(5))
    y, x = np.mgrid[0:H, 0:W].astype(np.float32)
    if kind == 0:
        return rng.integers(0, 256, (H, W, 3 if rng.random() < 0.5 else 1), dtype=np.uint8) + np.zeros(
            3, np.uint8
        )
    if kind == 1:
        octaves = sum(smooth(rng, 3 * 2**k) / 2**k for k in range(7))
        return clip((octaves - 0.6) * 200)
    if kind == 2:
        z, c = (
            (x / W - 0.5) * 3 + 1j * (y / H - 0.5) * 2,
            complex(rng.uniform(-0.8, 0.4), rng.uniform(0.1, 0.8)),
        )
        steps = np.zeros((H, W), np.float32)
        for _ in range(60):
            z = np.where(np.abs(z) < 4, z * z + c, z)
            steps += np.abs(z) < 4
        t = steps[..., None] / 60
        return clip(255 * np.abs(np.sin(t * rng.uniform(1, 9, 3).astype(np.float32) + rng.uniform(0, 3, 3))))
    if kind == 3:
        seeds = rng.uniform(0, 1, (60, 2)) * (W, H)
        distance = np.stack([np.hypot(x - a, y - b) for a, b in seeds])
        return rng.integers(0, 256, (60, 3), dtype=np.uint8)[distance.argmin(0)]
    waves = [np.sin(x * rng.normal(0, 0.15) + y * rng.normal(0, 0.15)) for _ in range(5)]
    return clip(127 + 60 * np.stack([waves[0] + waves[k] for k in (1, 2, 3)], 2))


def lens_cap(rng: Rng) -> Rgb:
    """Dark with the sensor's gain up: noise in blotches, a light leak at an edge, vignetting."""
    y, x = np.mgrid[0:H, 0:W].astype(np.float32)
    at, wide = rng.uniform(-0.1, 1.1, 2) * (W, H), rng.uniform(40, 260)
    leak = np.exp(-(((x - at[0]) ** 2 + (y - at[1]) ** 2) / wide**2))[..., None]
    tint = np.array([1, 0.8, 0.6], np.float32) * rng.uniform(10, 160)
    blotches = 12 * (smooth(rng, 80) - 0.5)
    return noisy(rng.uniform(4, 50) + tint * leak + blotches, rng, rng.uniform(3, 22))


def covering(rng: Rng) -> Rgb:
    """Cloth, a palm, paper or a leaf right before the lens: one matter, folds, a weave, out of focus."""
    y, x = np.mgrid[0:H, 0:W].astype(np.float32)
    skins = ((214, 170, 140), (150, 100, 75), (95, 60, 45))
    base = np.array(
        skins[int(rng.integers(3))] if rng.random() < 0.4 else any_colour(rng, 30, 220), np.float32
    )
    folds = 0.55 + 0.6 * smooth(rng, int(rng.integers(2, 7)), channels=1)
    pitch = rng.uniform(3, 14)
    weave = 1 + rng.uniform(0, 0.25) * (np.sin(x / pitch * 2) * np.sin(y / pitch * 2))[..., None]
    creases = canvas(BLACK)
    for _ in range(int(rng.integers(0, 8))):
        line = np.int32(rng.uniform(-0.1, 1.1, (3, 2)) * (W, H))
        cv2.polylines(creases, [line], False, (70, 70, 70), int(rng.integers(1, 6)), cv2.LINE_AA)
    soft = base * folds * weave - cv2.GaussianBlur(creases, (0, 0), 2).astype(np.float32)
    soft = cv2.GaussianBlur(soft, (0, 0), float(rng.uniform(0.5, 4)))
    return noisy(soft, rng, rng.uniform(1, 8))


def broken_stream(rng: Rng) -> Rgb:
    """A decoder without its reference picture: grey or green, smeared blocks of 16 pixels."""
    ground = ((128, 128, 128), (0, 135, 0), (90, 10, 90))[int(rng.integers(3))]
    small = np.full((H // 8, W // 8, 3), ground, np.float32)
    for _ in range(int(rng.integers(20, 250))):
        y, x = int(rng.integers(0, H // 16)) * 2, int(rng.integers(0, W // 16)) * 2
        small[y : y + 2, x : x + int(rng.integers(2, 30))] += rng.normal(0, 50, 3)
    return clip(cv2.resize(small, (W, H), interpolation=cv2.INTER_NEAREST))
