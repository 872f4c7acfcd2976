"""Pictures side by side under captions, and how they are stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[2]
BAR = 30


def labelled(columns: list[tuple[np.ndarray, str]]) -> np.ndarray:
    """(picture, caption) from left to right; pictures are (height, width, 3) uint8 of one height."""
    font = ImageFont.load_default(16)
    parts = []
    for picture, text in columns:
        bar = Image.new("RGB", (picture.shape[1], BAR), (30, 32, 38))
        ImageDraw.Draw(bar).text((10, 6), text, font=font, fill=(240, 240, 240))
        parts.append(np.vstack([np.asarray(bar), picture]))
    return np.hstack(parts)


def save(picture: np.ndarray, path: Path, colors: int = 200) -> None:
    """Write a small PNG."""
    Image.fromarray(picture).quantize(colors).save(path, optimize=True)
    print(path.relative_to(ROOT), path.stat().st_size, "bytes")
