"""What cameras, lenses, weather and mounting do to a picture: named, seeded, graded.

Every entry of :data:`CORRUPTIONS` is ``f(picture, severity, rng) -> picture``: ``uint8 [h, w, 3]`` RGB in
and out, same size, the input left alone, ``severity`` in 0..1 (0 barely visible, 1 as bad as cameras in
service get). The same generator state gives the same picture. The look is the same for both classes on
purpose: nothing here may tell a room from a street. Training strings them together (`training.augment`),
`scenecheck eval --stress` asks what each does to a model.
"""

# ruff: noqa: ARG001 -- every corruption takes the same three arguments, needed or not
from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from scenecheck.evaluation.codecs import through_codec

Picture: TypeAlias = NDArray[np.uint8]
Corruption: TypeAlias = Callable[[Picture, float, np.random.Generator], Picture]

_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_PLAIN, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX)
_WORDS = ("CAM", "Camera", "CH", "IPC", "Entrance", "Lobby", "Gate", "Lantai", "Ruang", "Jalan", "Simpang",
          "Kamera", "DVR", "NVR", "Zone", "Front", "Rear", "Hall", "Site", "Pos")  # fmt: skip


def _uint8(x: NDArray[np.floating]) -> Picture:
    return np.asarray(np.clip(np.rint(x), 0, 255).astype(np.uint8))


def _picture(x: object) -> Picture:
    """What OpenCV made of a picture: its stubs know no dtype."""
    return cast("Picture", x)


def _between(low: float, high: float, severity: float) -> float:
    return low + (high - low) * severity


def _grid(picture: Picture) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coordinates x, y ``[h, w]``, 0 in the middle, ±1 at the ends of the longer side."""
    h, w = picture.shape[:2]
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    half = max(h, w) / 2
    return (x - (w - 1) / 2) / half, (y - (h - 1) / 2) / half


# --- mounting and lens ---------------------------------------------------------------------------


def high_corner(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """Look down from a corner: the near edge shrinks, verticals lean, the horizon tilts."""
    h, w = picture.shape[:2]
    pinch, lean, roll = (_between(0.02, 0.3, severity) * rng.uniform(lo, 1) for lo in (0.3, -1, -1))
    zoom = 1 + 0.5 * abs(roll) + 0.3 * pinch
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32) * zoom
    corners[2:, 0] *= 1 - pinch
    corners[:, 0] += lean * 0.5 * np.array([-1, -1, 1, 1], np.float32)
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]], np.float32)
    target = (corners @ turn.T + 1) / 2 * [w, h]
    frame = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    matrix = cv2.getPerspectiveTransform(frame, target.astype(np.float32))
    return _picture(cv2.warpPerspective(picture, matrix, (w, h), borderMode=cv2.BORDER_REFLECT_101))


def fisheye(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """Equidistant-like barrel distortion; black outside the image circle when it is strong."""
    h, w = picture.shape[:2]
    x, y = _grid(picture)
    r = np.sqrt(x * x + y * y)
    angle = _between(0.5, 1.25, severity)
    source = np.tan(np.minimum(r * angle, 1.5)) / np.tan(angle)
    scale = np.where(r > 1e-6, source / np.maximum(r, 1e-6), angle / np.tan(angle)) * rng.uniform(0.95, 1.3)
    half = max(h, w) / 2
    has_circle = severity > 0.5 and rng.random() < 0.5
    mode = cv2.BORDER_CONSTANT if has_circle else cv2.BORDER_REFLECT_101
    map_x, map_y = x * scale * half + (w - 1) / 2, y * scale * half + (h - 1) / 2
    map_x, map_y = map_x.astype(np.float32), map_y.astype(np.float32)
    return _picture(cv2.remap(picture, map_x, map_y, cv2.INTER_LINEAR, borderMode=mode))


def upside_down(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """Mounted the wrong way up (severity does not matter); the overlay comes later and stays upright."""
    return np.ascontiguousarray(picture[::-1, ::-1])


def tilt(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """A bracket that gave way: rotation up to 25 degrees, zoomed so that no border shows."""
    h, w = picture.shape[:2]
    degrees = _between(2, 25, severity) * rng.choice((-1, 1))
    zoom = 1 + abs(np.sin(np.deg2rad(degrees))) * 0.9
    matrix = cv2.getRotationMatrix2D((w / 2, h / 2), degrees, zoom)
    return _picture(cv2.warpAffine(picture, matrix, (w, h), borderMode=cv2.BORDER_REFLECT_101))


def letterbox(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """Black bars at two sides, the picture squeezed between them."""
    h, w = picture.shape[:2]
    bars = _between(0.03, 0.25, severity)
    out = np.full_like(picture, int(rng.integers(0, 20)))
    if rng.random() < 0.7:
        kept = max(2, round(w * (1 - bars)))
        out[:, (w - kept) // 2 :][:, :kept] = cv2.resize(picture, (kept, h), interpolation=cv2.INTER_AREA)
    else:
        kept = max(2, round(h * (1 - bars)))
        out[(h - kept) // 2 :][:kept] = cv2.resize(picture, (w, kept), interpolation=cv2.INTER_AREA)
    return out


def lens_dirt(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """Out-of-focus specks, drops or a web before the lens."""
    h, w = picture.shape[:2]
    mask = np.zeros((h, w), np.float32)
    for _ in range(int(_between(2, 14, severity))):
        centre = (int(rng.integers(0, w)), int(rng.integers(0, h)))
        axes = (int(w * rng.uniform(0.01, 0.09)) + 1, int(h * rng.uniform(0.01, 0.12)) + 1)
        cv2.ellipse(mask, centre, axes, rng.uniform(0, 180), 0, 360, float(rng.uniform(0.3, 0.9)), -1)
    soft = cv2.GaussianBlur(mask, (0, 0), max(1.0, w * rng.uniform(0.004, 0.02)))[..., None]
    veil = cv2.GaussianBlur(picture, (0, 0), w * 0.03).astype(np.float32) * rng.uniform(0.5, 1.2)
    return _uint8(picture * (1 - soft) + veil * soft)


def occlusion(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """A leaf, a hand, tape or a bag over the lens: from one edge inwards, 5 to 70 % of the picture."""
    h, w = picture.shape[:2]
    x, y = _grid(picture)
    angle, waves = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi, 2)
    inwards = x * np.cos(angle) + y * np.sin(angle)
    along = y * np.cos(angle) - x * np.sin(angle)
    ragged = 0.08 * np.sin(7 * along + waves[0]) + 0.04 * np.sin(19 * along + waves[1])
    depth = inwards + ragged
    covered = np.quantile(depth, _between(0.05, 0.7, severity))
    mask = cv2.GaussianBlur((depth < covered).astype(np.float32), (0, 0), max(h, w) * 0.006)[..., None]
    light = float(picture.mean()) * rng.uniform(0.05, 0.8)
    return _uint8(picture * (1 - mask) + light * rng.uniform(0.75, 1.25, 3) * mask)


def defocus(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """Gaussian blur, up to 1.2 % of the width."""
    sigma = max(0.3, picture.shape[1] * _between(0.001, 0.012, severity))
    return _picture(cv2.GaussianBlur(picture, (0, 0), sigma))


def motion_blur(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """The mast sways: a straight smear up to 4 % of the width."""
    length = max(3, int(picture.shape[1] * _between(0.005, 0.04, severity)))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    middle, dx, dy = (length - 1) / 2, np.cos(angle) * length / 2, np.sin(angle) * length / 2
    cv2.line(kernel, (round(middle - dx), round(middle - dy)), (round(middle + dx), round(middle + dy)), 1.0)
    return _picture(cv2.filter2D(picture, -1, kernel / kernel.sum()))


# --- scene ---------------------------------------------------------------------------------------


def people(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """Standing figures before the scene, far and small or close to the lens, some cut by the edge."""
    h, w = picture.shape[:2]
    out: NDArray[np.floating] = picture.astype(np.float32)
    for _ in range(int(_between(1, 8, severity) * rng.uniform(0.5, 1)) or 1):
        tall = h * rng.uniform(0.12, _between(0.35, 1.1, severity))
        x, foot = rng.uniform(0, w), rng.uniform(0.45 * h, 1.25 * h)
        wide, lean = tall * rng.uniform(0.13, 0.2), rng.normal(0, 12)
        mask = np.zeros((h, w), np.float32)
        cloth = [rng.uniform(15, 230) + rng.normal(0, 22, 3) for _ in range(2)]
        skin = rng.uniform(0.25, 1) * np.array([235, 195, 170])
        parts = ((0.22, 0.26, 0.75, cloth[0]), (0.62, 0.24, 1.0, cloth[1]), (0.92, 0.08, 0.42, skin))
        for at, half, girth, colour in parts:  # legs, trunk, head
            mask[:] = 0
            axes = (max(1, int(wide * girth)), max(1, int(tall * half)))
            cv2.ellipse(mask, (int(x), int(foot - tall * at)), axes, lean, 0, 360, 1.0, -1, cv2.LINE_AA)
            soft = cv2.GaussianBlur(mask, (0, 0), 0.8)[..., None]
            out = out * (1 - soft) + (0.85 * np.clip(colour, 0, 255) + 0.15 * out) * soft
    return _uint8(out)


def rain(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """Bright streaks of one direction over a slightly veiled scene."""
    h, w = picture.shape[:2]
    streaks = np.zeros((h, w), np.float32)
    slant, length = rng.uniform(-0.3, 0.3), h * _between(0.03, 0.1, severity)
    for _ in range(int(_between(40, 350, severity))):
        x, y = rng.uniform(0, w), rng.uniform(-length, h)
        end = (int(x + slant * length), int(y + length))
        cv2.line(streaks, (int(x), int(y)), end, float(rng.uniform(0.2, 0.7)), 1, cv2.LINE_AA)
    soft = cv2.GaussianBlur(streaks, (0, 0), 0.7)[..., None]
    return _uint8(picture * (1 - 0.15 * severity) + 30 * severity + soft * 150)


def fog(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """A milky veil, thicker towards the top; steam and a dirty dome look alike."""
    h = picture.shape[0]
    depth = np.linspace(1, rng.uniform(0.2, 1), h, dtype=np.float32)[:, None, None]
    veil = _between(0.15, 0.75, severity) * depth
    return _uint8(picture * (1 - veil) + rng.uniform(140, 235) * veil)


def privacy(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """Flat or pixelated polygons where the operator may not look."""
    h, w = picture.shape[:2]
    out = picture.copy()
    coarse = cv2.resize(cv2.resize(picture, (16, 9), interpolation=cv2.INTER_AREA), (w, h),
                        interpolation=cv2.INTER_NEAREST)  # fmt: skip
    for _ in range(int(_between(1, 4, severity))):
        centre, size = rng.uniform(0, 1, 2), _between(0.06, 0.25, severity)
        points = (centre + rng.uniform(-size, size, (int(rng.integers(3, 6)), 2))) * [w, h]
        mask = np.zeros((h, w), np.uint8)
        cv2.fillPoly(mask, [cv2.convexHull(points.astype(np.int32))], 1)
        flat = np.full_like(picture, rng.choice((0, 40, 128)))
        out = np.where(mask[..., None] > 0, coarse if rng.random() < 0.4 else flat, out)
    return out


# --- light and sensor ----------------------------------------------------------------------------


def colour_cast(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """White balance off, contrast and saturation of a cheap processor."""
    spread = _between(0.03, 0.3, severity)
    x = picture.astype(np.float32) * rng.uniform(1 - spread, 1 + spread, 3)
    grey = x.mean(2, keepdims=True)
    x = grey + (x - grey) * rng.uniform(1 - 2 * spread, 1 + 1.5 * spread)
    x = (x - 128) * rng.uniform(1 - 1.2 * spread, 1 + 1.2 * spread) + 128 + rng.uniform(-80, 80) * spread
    return _uint8(255 * np.power(np.clip(x, 0, 255) / 255, np.exp(rng.normal(0, spread))))


def grey(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """Black and white, with the red-heavy response of a sensor without its IR filter."""
    weights = np.array([0.299, 0.587, 0.114]) * (1 + severity * rng.uniform(-0.3, [1.2, 0.5, 0.8]))
    y = picture.astype(np.float32) @ (weights / weights.sum()).astype(np.float32)
    return np.repeat(_uint8(y)[..., None], 3, 2)


def infrared(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """Night with the camera's own IR lamps: grey, hot centre, dark rim, noise."""
    x, y = _grid(picture)
    y0, x0 = rng.normal(0, 0.12, 2)
    r2 = (x - x0) ** 2 + (y - y0) ** 2
    lamp = np.exp(-r2 / _between(1.2, 0.35, severity)) * _between(1.1, 1.6, severity) + rng.uniform(0.05, 0.2)
    lit = grey(picture, 1.0, rng).astype(np.float32) * lamp[..., None] * rng.uniform(0.7, 1.1)
    lit = 255 * np.power(np.clip(lit, 0, 255) / 255, rng.uniform(0.7, 1.1))
    noise = rng.normal(0, _between(2, 14, severity), picture.shape[:2]).astype(np.float32)
    return _uint8(lit + noise[..., None])


def sensor_noise(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """Shot and read noise, partly coloured, smeared by the camera's own denoiser."""
    sigma = _between(1.5, 28, severity)
    h, w = picture.shape[:2]
    noise = rng.standard_normal((h, w, 1), np.float32) + 0.6 * rng.standard_normal((h, w, 3), np.float32)
    if rng.random() < 0.5:
        noise = cv2.GaussianBlur(noise, (0, 0), 0.8) * 1.6
    x = picture.astype(np.float32)
    return _uint8(x + noise * sigma * (0.5 + np.sqrt(x / 255)))


def darkness(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """Too little light: dimmed, gained up again as far as it goes, noisy; lamps may stay bright."""
    exposure = _between(0.6, 0.06, severity)
    x = (picture.astype(np.float32) / 255) ** rng.uniform(1.4, 2.2) * exposure
    gain = min(1 / exposure, rng.uniform(1.2, 4.0))
    noise = rng.standard_normal(picture.shape, np.float32) * 0.008 * gain * _between(0.5, 2, severity)
    tint = 1 + rng.uniform(-0.25, 0.25, 3) * [1, 0.4, 1] if rng.random() < 0.6 else np.ones(3)
    return _uint8(255 * np.clip(x * gain + noise, 0, 1) ** 0.6 * tint)


def glare(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """Headlights, lamps or a bright window that bleeds into the picture."""
    x, y = _grid(picture)
    light = np.zeros_like(x)
    for _ in range(int(rng.integers(1, 4))):
        x0, y0 = rng.uniform(-1, 1), rng.uniform(-0.6, 0.6)
        light += np.exp(
            -((x - x0) ** 2 + (y - y0) ** 2) / (_between(0.02, 0.4, severity) * rng.uniform(0.3, 1))
        )
    return _uint8(picture + light[..., None] * _between(60, 240, severity))


def overexposure(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """Blown highlights of a camera that looks against the light."""
    return _uint8(picture.astype(np.float32) * _between(1.15, 2.4, severity) + _between(0, 20, severity))


def sharpen(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """Halos of in-camera sharpening."""
    soft = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.8, 2)).astype(np.float32)
    return _uint8(picture + (picture - soft) * _between(0.3, 2, severity))


# --- overlay and transport -----------------------------------------------------------------------


def overlay(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """Time stamp, channel name, logo: any font and place, with or without a bar behind."""
    h, w = picture.shape[:2]
    out = picture.copy()
    date = f"{rng.integers(2009, 2027)}-{rng.integers(1, 13):02}-{rng.integers(1, 29):02}"
    clock = f"{rng.integers(0, 24):02}:{rng.integers(0, 60):02}:{rng.integers(0, 60):02}"
    texts = [
        f"{date} {clock}",
        f"{rng.choice(_WORDS)} {rng.integers(1, 40):02}",
        f"{rng.choice(_WORDS)} {rng.choice(_WORDS)}",
    ]
    for text in rng.permutation(texts)[: int(_between(1, 3.99, severity))]:
        font, scale = int(rng.choice(_FONTS)), h / 480 * rng.uniform(0.5, _between(0.9, 1.8, severity))
        thick = max(1, round(scale * 2))
        (tw, th), _ = cv2.getTextSize(str(text), font, scale, thick)
        x, y = (
            int(rng.uniform(0, max(1, w - tw))),
            int(rng.choice((th + 4, h - 6, int(rng.integers(th + 4, h))))),
        )
        ink = tuple(int(v) for v in rng.choice(((255, 255, 255), (255, 255, 0), (0, 255, 0), (20, 20, 20))))
        if rng.random() < 0.3:
            cv2.rectangle(out, (x - 3, y - th - 4), (x + tw + 3, y + 4), tuple(255 - v for v in ink), -1)
        elif rng.random() < 0.5:
            cv2.putText(
                out, str(text), (x, y), font, scale, tuple(255 - v for v in ink), thick + 2, cv2.LINE_AA
            )
        cv2.putText(out, str(text), (x, y), font, scale, ink, thick, cv2.LINE_AA)
    return out


def low_resolution(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """A sub-stream of few pixels, enlarged again: down to 96 columns."""
    h, w = picture.shape[:2]
    small_w = max(16, min(w, int(_between(300, 96, severity))))
    small = cv2.resize(picture, (small_w, max(9, round(h * small_w / w))), interpolation=cv2.INTER_AREA)
    way = cv2.INTER_LINEAR if rng.random() < 0.7 else cv2.INTER_NEAREST
    return _picture(cv2.resize(small, (w, h), interpolation=way))


def h264(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """One key frame through x264, crf 24 to 46."""
    return through_codec(picture, "libx264", _between(24, 46, severity))


def h265(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """One key frame through x265, crf 26 to 48."""
    return through_codec(picture, "libx265", _between(26, 48, severity))


def mjpeg(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """One JPEG picture of a motion-JPEG camera, quality 60 down to 8."""
    quality = int(_between(60, 8, severity))
    ok, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise RuntimeError("JPEG encoder refused a picture")
    return np.ascontiguousarray(_picture(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1])


CORRUPTIONS: dict[str, Corruption] = {
    f.__name__: f
    for f in (
        high_corner,
        fisheye,
        upside_down,
        tilt,
        letterbox,
        lens_dirt,
        occlusion,
        defocus,
        motion_blur,
        people,
        rain,
        fog,
        privacy,
        colour_cast,
        grey,
        infrared,
        sensor_noise,
        darkness,
        glare,
        overexposure,
        sharpen,
        overlay,
        low_resolution,
        h264,
        h265,
        mjpeg,
    )
}


CCTV_LOOK = ("low_resolution", "sensor_noise", "overlay", "h264")


def looks_like_cctv(picture: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """The transport of a cheap camera and nothing else: few pixels, noise, overlay, H.264."""
    for name in CCTV_LOOK:
        picture = CORRUPTIONS[name](picture, severity, rng)
    return picture
