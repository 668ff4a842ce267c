"""A training picture as a strange camera might deliver it: crops, and the corruptions strung together."""

from __future__ import annotations

import cv2
import numpy as np

from scenecheck.evaluation.corruptions import CORRUPTIONS, Picture, looks_like_cctv


def random_crop(picture: Picture, rng: np.random.Generator, *, size: tuple[int, int], zoom: float) -> Picture:
    """Random window of random aspect, stretched to ``size`` (H, W): ``uint8 [H, W, 3]``.

    ``zoom`` bounds how much may be cut away (share of the area). Square rooms of one source must not be
    told from wide streets by their stretch, so both lose their aspect here.
    """
    h, w = picture.shape[:2]
    height, width = size
    aspect = np.exp(rng.uniform(np.log(1.15), np.log(2.1)))  # of the window, seen as 16:9 afterwards
    share = rng.uniform(1 - zoom, 1)
    window_h = min(h, w / aspect) * np.sqrt(share)
    window_w = min(window_h * aspect, w)
    x, y = rng.uniform(0, w - window_w), rng.uniform(0, h - window_h)
    patch = picture[int(y) : int(y + window_h) + 1, int(x) : int(x + window_w) + 1]
    way = cv2.INTER_AREA if patch.shape[1] >= width else cv2.INTER_LINEAR
    out = cv2.resize(patch, (width, height), interpolation=way)
    return np.ascontiguousarray(out[:, ::-1]) if rng.random() < 0.5 else out


# (stage of (probability, name)), in the order in which light meets them; the last number of a view's
# strength scales every probability.
RECIPE: tuple[tuple[float, str], ...] = (
    (0.35, "people"), (0.05, "rain"), (0.06, "fog"),
    (0.35, "high_corner"), (0.12, "fisheye"), (0.08, "tilt"), (0.08, "upside_down"),
    (0.08, "lens_dirt"), (0.15, "defocus"), (0.10, "motion_blur"),
    (0.10, "glare"), (0.12, "darkness"), (0.08, "overexposure"), (0.50, "colour_cast"),
    (0.10, "grey"), (0.15, "infrared"), (0.30, "sensor_noise"), (0.20, "sharpen"),
    (0.06, "privacy"), (0.45, "overlay"), (0.20, "low_resolution"),
    (0.40, "h264"), (0.04, "h265"), (0.20, "mjpeg"), (0.06, "letterbox"),
)  # fmt: skip
CHEAP_CAMERA = 0.25
"""How often a view shows nothing but few pixels, noise, text and H.264 together: one by one they hardly move
a net that has seen them, together they drew rooms towards street."""

_CAMERA_SIZES = ((180, 320), (240, 426), (270, 480), (288, 352), (360, 640))


def surveillance(picture: Picture, rng: np.random.Generator, *, strength: float = 1.0) -> Picture:
    """The same scene as a strange camera might deliver it: ``uint8 [h, w, 3]`` → a camera's size.

    ``strength`` scales how often each corruption happens (0: crop and mirror only) and how hard it hits.
    """
    size = _CAMERA_SIZES[int(rng.integers(len(_CAMERA_SIZES)))]
    out = random_crop(picture, rng, size=size, zoom=0.5)
    if rng.random() < CHEAP_CAMERA * strength:
        return looks_like_cctv(out, float(rng.uniform(0.05, 0.9)), rng)
    for probability, name in RECIPE:
        if rng.random() < probability * strength:
            severity = float(np.clip(rng.beta(1.3, 2.0) * strength, 0, 1))
            out = CORRUPTIONS[name](out, severity, rng)
    return out
