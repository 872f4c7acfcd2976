"""Rotations of space, as 3x3 matrices."""

from __future__ import annotations

import numpy as np


def turn(vector: np.ndarray) -> np.ndarray:
    """The rotation about a vector by its length in radians (Rodrigues' formula)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = np.asarray(vector, dtype=np.float64) / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def of_quaternion(quaternion: np.ndarray) -> np.ndarray:
    """The rotation of a quaternion (w, x, y, z) of any length."""
    w, x, y, z = np.asarray(quaternion, dtype=np.float64) / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def random_rotation(rng: np.random.Generator, largest_deg: float) -> np.ndarray:
    """A rotation about a random axis; uniform over all rotations when the largest angle is 180 degrees."""
    if largest_deg >= 180:
        return of_quaternion(rng.normal(size=4))
    axis = rng.normal(size=3)
    return turn(axis / np.linalg.norm(axis) * np.radians(rng.uniform(0, largest_deg)))


def rotation_grid(count: int) -> list[np.ndarray]:
    """The identity, then rotations spread evenly over all of them (super-Fibonacci spiral of Alexa, CVPR 2022)."""
    phi, psi = np.sqrt(2.0), 1.533751168755204288118041
    found = [np.eye(3)]
    for number in range(count):
        share = (number + 0.5) / count
        angle, other = 2 * np.pi * (number + 0.5) / phi, 2 * np.pi * (number + 0.5) / psi
        low, high = np.sqrt(share), np.sqrt(1 - share)
        found.append(
            of_quaternion(
                np.array([high * np.cos(other), low * np.sin(angle), low * np.cos(angle), high * np.sin(other)])
            )
        )
    return found


def angle_between(first: np.ndarray, second: np.ndarray) -> float:
    """Angle of the rotation from one rotation to another, degrees."""
    return float(np.degrees(np.arccos(np.clip((np.trace(first.T @ second) - 1) / 2, -1, 1))))
