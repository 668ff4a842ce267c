"""What a cheap fixed camera does to the light that Cycles renders: exposure, lens, sensor, OSD, H.264."""

from __future__ import annotations

import datetime as dt
import io
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import av
import cv2
import numpy as np
import numpy.typing as npt

from samples.render import osd_font
from samples.render.catalogue import FPS, HEIGHT_PX, WIDTH_PX, Look, Osd

if TYPE_CHECKING:
    from collections.abc import Sequence

Light = npt.NDArray[np.float32]
Rgb = npt.NDArray[np.uint8]

_TARGET = {"day": 0.25, "ir": 0.17, "night": 0.10, "rain": 0.22}
_NOISE = {"day": 0.009, "rain": 0.012, "night": 0.022, "ir": 0.017}
_STILL_CRF, _CLIP_CRF = 21, 22


def near_infrared(light: Light) -> Light:
    """What a sensor without its IR filter sees: grey, red-weighted, with bright leaves.

    Leaves reflect near infrared several times better than green light: where green stands out is a leaf.
    """
    grey = light @ np.float32([0.5, 0.35, 0.15])
    leaf = np.maximum(light[..., 1] - np.maximum(light[..., 0], light[..., 2]), 0)
    return np.repeat((grey + 2.5 * leaf)[..., None], 3, 2)


def develop(light: Light, look: Look, key: float = 1.0) -> Light:
    """Linear light [h,w,3] to display values 0..1: automatic exposure, bloom, soft shoulder, sRGB curve."""
    img = np.nan_to_num(np.maximum(light[..., :3], 0)).astype(np.float32)
    if look == "ir":
        img = near_infrared(img)
    luma = img @ np.float32([0.2126, 0.7152, 0.0722])
    gain = _TARGET[look] * key / (np.exp(np.log(luma + 1e-4).mean()) + 1e-6)
    if look != "night":  # as far as the brightest fifth allows; at night lamps may burn out
        gain = min(gain, 1.6 / (np.percentile(luma, 80) + 1e-6))
    img = img * gain
    over = np.minimum(np.maximum(img - 1.0, 0), 8)
    img = img + 0.25 * cv2.GaussianBlur(over, (0, 0), 3.0) + 0.12 * cv2.GaussianBlur(over, (0, 0), 14.0)
    img = np.where(img < 0.6, img, 0.6 + 0.4 * (1 - np.exp(-(img - 0.6) / 0.55)))
    img = np.where(img <= 0.0031308, img * 12.92, 1.055 * np.maximum(img, 1e-6) ** (1 / 2.4) - 0.055)
    if look == "rain":
        img = 0.82 * img + 0.11
    if look == "day":
        img = np.clip(img, 0, 1)
        img = 0.9 * img + 0.1 * (3 * img**2 - 2 * img**3) - 0.01
    return np.clip(img, 0, 1).astype(np.float32)


def lens(img: Light, barrel: float = 0.12, vignette: float = 0.28) -> Light:
    """Barrel distortion (crops the rendered margin), slight fringe, corner fall-off, softness, sharpening."""
    h, w = img.shape[:2]
    ys, xs = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX].astype(np.float32)
    half = WIDTH_PX / 2
    u, v = (xs - half + 0.5) / half, (ys - HEIGHT_PX / 2 + 0.5) / half
    r2 = u * u + v * v
    edge = 1 + (HEIGHT_PX / WIDTH_PX) ** 2
    scale = (1 + barrel * r2) / (1 + barrel * edge)
    out = []
    for channel, fringe in enumerate((1.0012, 1.0, 0.9988)):
        k = (scale * fringe * (w / 2)).astype(np.float32)
        plane = np.ascontiguousarray(img[..., channel])
        x, y = u * k + np.float32(w / 2 - 0.5), v * k + np.float32(h / 2 - 0.5)
        out.append(cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    img = np.dstack(out) * (1 - vignette * (r2 / edge) ** 1.3)[..., None]
    soft = cv2.GaussianBlur(img, (0, 0), 0.55)
    return soft + 0.55 * (soft - cv2.GaussianBlur(soft, (0, 0), 1.3))


def sensor(img: Light, look: Look, rng: np.random.Generator) -> Rgb:
    """Shot and read noise, some of it coarse as after in-camera denoising; rain streaks when it rains."""
    size = (HEIGHT_PX, WIDTH_PX)
    fine = rng.normal(0, 1, (*size, 1 if look == "ir" else 3)).astype(np.float32)
    coarse = cv2.GaussianBlur(rng.normal(0, 1, size).astype(np.float32), (0, 0), 1.4)[..., None] * 2.2
    img = img + _NOISE[look] * (0.7 * fine + 0.6 * coarse) * (0.5 + np.sqrt(np.clip(img, 0, 1)))
    if look == "rain":
        streak = np.zeros(size, np.float32)
        for _ in range(260):
            x, y, n = rng.uniform(0, WIDTH_PX), rng.uniform(-20, HEIGHT_PX), rng.uniform(6, 22)
            end = (int(x - n * 0.12), int(y + n))
            cv2.line(streak, (int(x), int(y)), end, float(rng.uniform(0.02, 0.11)), 1, cv2.LINE_AA)
        img = img + cv2.GaussianBlur(streak, (0, 0), 0.6)[..., None]
    return (np.clip(img, 0, 1) * 255 + 0.5).astype(np.uint8)


def overlay(rgb: Rgb, osd: Osd, elapsed_s: float = 0.0) -> Rgb:
    """Burn in the clock and the camera's name, in capitals."""
    clock = osd_font.draw((osd.when + dt.timedelta(seconds=elapsed_s)).strftime(osd.clock))
    name = osd_font.draw(osd.name)
    top, bottom, left = 9, HEIGHT_PX - 24, 11
    spots = {
        "outline": ((clock, left, top), (name, WIDTH_PX - left - name.shape[1], bottom)),
        "box": ((name, left, top), (clock, WIDTH_PX - left - clock.shape[1], bottom)),
        "bitmap": ((clock, WIDTH_PX - left - clock.shape[1], top), (name, left, bottom)),
    }[osd.style]
    img = rgb.astype(np.float32)
    for text, x, y in spots:
        ink = np.pad(text, 4)  # room for the frame or the outline
        if osd.style != "bitmap":
            ink = np.minimum(1.25 * cv2.GaussianBlur(ink, (0, 0), 0.6), 1)
        frame = np.full_like(ink, 0.6) if osd.style == "box" else cv2.dilate(ink, np.ones((3, 3), np.uint8))
        h, w = ink.shape
        patch = img[y - 4 : y - 4 + h, x - 4 : x - 4 + w]
        patch *= (1 - frame)[..., None]
        patch += (255 - patch) * ink[..., None]
    return (img + 0.5).astype(np.uint8)


def shot(light: Light, look: Look, *, key: float, barrel: float, rng: np.random.Generator) -> Rgb:
    """Light to one frame as it leaves the sensor."""
    return sensor(lens(develop(light, look, key), barrel), look, rng)


def through_h264(rgb: Rgb) -> Rgb:
    """The picture as a viewer of the stream sees it: one H.264 keyframe, encoded and decoded."""
    blob = io.BytesIO()
    encode([rgb] * 3, blob, gop=1, crf=_STILL_CRF)
    blob.seek(0)
    with av.open(blob) as container:
        return list(container.decode(video=0))[-1].to_ndarray(format="rgb24")


def encode(frames: Sequence[Rgb], target: Path | BinaryIO, *, gop: int, crf: int = _CLIP_CRF) -> None:
    """H.264 Main, `gop` frames from keyframe to keyframe, no B-frames, as most cameras send it."""
    to, options = (str(target), {"movflags": "+faststart"}) if isinstance(target, Path) else (target, {})
    with av.open(to, "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        params = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes=0"
        stream.options = {
            "crf": str(crf),
            "preset": "medium",
            "profile": "main",
            "threads": "1",
            "x264-params": params,
        }
        for i, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
