"""Scans of a head phantom: kernels, noise, bias, ringing, thick slices, motion between the two scans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .fields import linear_matrix, sampling_matrix, separable
from .head_canvas import Canvas

OUTSIDE_HU = -1000.0


@dataclass(frozen=True)
class Blur:
    """Blur of a case that is like the mean of many heads: sigma (mm) of the CT, of the MR near the skull and away."""

    ct_mm: float
    brain_mm: float
    face_mm: float


def averaged(rng: np.random.Generator) -> Blur:
    """The blur of a mean template: brain and skull stay sharper than the face, which varies more between heads."""
    return Blur(rng.uniform(2.0, 4.5), rng.uniform(0.2, 1.2), rng.uniform(0.5, 2.5))


def smoothed(image: np.ndarray, spacing_kji: np.ndarray, sigma_mm: float) -> np.ndarray:
    """Gaussian blur, sigma in mm."""
    if sigma_mm < 0.2:
        return image
    return ndimage.gaussian_filter(image, sigma_mm / spacing_kji, mode="nearest", truncate=3.0)


def scan_ct(canvas: Canvas, textures: np.ndarray, rng: np.random.Generator, blur: Blur | None) -> np.ndarray:
    """Hounsfield units of a scanner: texture of the tissues, kernel, noise. (K, J, I) float32."""
    spacing = canvas.grid.spacing_kji
    image = canvas.images[0].copy()
    grain = 0.8 * canvas.noise(max(3.0, 2 * canvas.softness)) + 0.6 * canvas.noise(9.0)
    image += textures[canvas.labels] * grain
    image = smoothed(image, spacing, blur.ct_mm if blur else rng.uniform(0.3, 1.1))
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    noise = smoothed(noise, spacing, rng.uniform(0.3, 1.4))
    level = rng.uniform(0.5, 3) if blur else np.exp(rng.uniform(np.log(3), np.log(22)))
    return np.clip(image + level * noise / noise.std(), -1024, 3000).astype(np.float32)


def scan_mr(
    canvas: Canvas,
    textures: np.ndarray,
    rng: np.random.Generator,
    blur: Blur | None,
    cavity: np.ndarray,
    thick: bool,
) -> np.ndarray:
    """Signal of a scanner, in arbitrary units. (K, J, I) float32, nowhere negative.

    Parameters
    ----------
    cavity
        Depth within the cranial cavity, where an average stays sharp.
    thick
        Slices of 3 to 7 mm along one axis, interpolated to the grid.
    """
    spacing = canvas.grid.spacing_kji
    shape = canvas.grid.shape
    image = canvas.images[1].copy()
    image += textures[canvas.labels] * (0.7 * canvas.noise(max(3.0, 2 * canvas.softness)) + 0.7 * canvas.noise(10.0))
    np.maximum(image, 0, out=image)
    if blur:
        inner = smoothed(image, spacing, blur.brain_mm)
        outer = smoothed(image, spacing, blur.face_mm)
        sharp = np.clip((np.minimum(cavity, canvas.points[2] + 45) + 25) / 15, 0, 1)
        image = outer + sharp * (inner - outer)
    else:
        image = smoothed(image, spacing, rng.uniform(0.0, 0.9))
    image = image * np.exp(np.clip(rng.uniform(0.02, 0.28) * canvas.noise(rng.uniform(70, 130)), -0.8, 0.8))
    level = rng.uniform(0.001, 0.008) if blur else np.exp(rng.uniform(np.log(0.004), np.log(0.07)))
    if rng.random() < 0.35 and not blur:
        image = _ringing(image, rng)
    noise = rng.standard_normal((2, *shape), dtype=np.float32) * np.float32(level)
    if rng.random() < 0.5:  # interpolated by the scanner: the noise is correlated
        noise = np.stack([smoothed(one, spacing, rng.uniform(0.5, 1.2)) for one in noise])
    image = np.sqrt((image + noise[0]) ** 2 + noise[1] ** 2)
    if thick:
        image = _thick(image, spacing, rng)
    return np.ascontiguousarray(image * np.float32(np.exp(rng.uniform(np.log(50), np.log(5000)))), dtype=np.float32)


def _ringing(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Only a part of the frequencies was measured along one or two axes (Gibbs)."""
    matrices = [np.eye(size, dtype=np.float32) for size in image.shape]
    for axis in rng.permutation(3)[: rng.integers(1, 3)]:
        size = image.shape[axis]
        kept = np.abs(np.fft.fftfreq(size)) <= 0.5 * rng.uniform(0.65, 0.95)
        matrices[axis] = np.fft.ifft(np.fft.fft(np.eye(size), axis=0) * kept[:, None], axis=0).real.astype(np.float32)
    return np.maximum(separable(image, tuple(matrices)), 0)


def _thick(image: np.ndarray, spacing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Acquired in thick slices along one axis, mostly from foot to head, and interpolated."""
    axis = int(rng.choice(3, p=[0.6, 0.2, 0.2]))
    size = image.shape[axis]
    coarse = max(8, round(size * spacing[axis] / rng.uniform(3.0, 7.0)))
    matrices = [np.eye(count, dtype=np.float32) for count in image.shape]
    matrices[axis] = linear_matrix(size, coarse) @ sampling_matrix(size, coarse, 0.42 * size / coarse)
    return separable(image, tuple(matrices))


def displaced(image: np.ndarray, canvas: Canvas, rng: np.random.Generator, distance_mm: float) -> np.ndarray:
    """The image as if the head had moved and bent a little, by `distance_mm` (root mean square over the grid)."""
    if distance_mm <= 0:
        return image
    shape = canvas.grid.shape
    extent = np.array(shape) * canvas.grid.spacing_kji
    axes = [((np.arange(size) + 0.5) / size - 0.5) * length for size, length in zip(shape, extent, strict=True)]
    k, j, i = np.meshgrid(*(axis.astype(np.float32) for axis in axes), indexing="ij", sparse=True)
    turn = rng.normal(0, 1.0, 3).astype(np.float32) / np.float32(100)
    shift = rng.normal(0, 1.0, 3).astype(np.float32)
    move = 0.7 * canvas.noise(60.0, 3)
    move[0] += shift[0] + turn[1] * j - turn[2] * i
    move[1] += shift[1] + turn[0] * i - turn[1] * k
    move[2] += shift[2] + turn[2] * k - turn[0] * j
    move *= np.float32(distance_mm) / np.sqrt((move**2).sum(axis=0).mean())
    for axis in range(3):
        move[axis] = move[axis] / np.float32(canvas.grid.spacing_kji[axis]) + np.arange(
            shape[axis], dtype=np.float32
        ).reshape([-1 if other == axis else 1 for other in range(3)])
    return ndimage.map_coordinates(image, move, order=1, mode="nearest")
