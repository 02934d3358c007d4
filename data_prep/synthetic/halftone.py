"""CMYK separation and clustered-dot halftone: what linear light a printed picture reflects, relative to its paper.

Each ink covers part of every small area. Where coverages of the inks are independent (Demichel) and inks filter each
other's light, the Neugebauer sum over all overprints factorises into a product over the inks:
R_c = prod_i (1 - a_i (1 - T_ic)), with local coverage a_i and transmittance T_ic of ink i in channel c.
Coverage grows in printing (tone value increase as densitometers measure it with the Murray-Davies formula, so that the
light caught under the dots, the Yule-Nielsen effect, is part of it). The dots themselves are the Fourier series of a
round-dot screen, cut where the canvas cannot carry a harmonic; mean tones do not depend on the cut.
"""

import functools

import cv2
import numpy as np
from jaxtyping import Float

from data_prep.synthetic.geometry import saturation_matrix
from data_prep.synthetic.printers import Printer

SCREEN_ANGLES = (15.0, 75.0, 0.0, 45.0)  # degrees of cyan, magenta, yellow, black: the usual offset set
# Density of each ink in red, green and blue relative to its main density: ordinary process inks are not pure.
INK_HUES = ((1.0, 0.3, 0.1), (0.1, 1.0, 0.42), (0.02, 0.07, 1.0), (1.0, 1.0, 1.0))
# Separations expect this increase at half coverage, a usual one in offset; a printer shows its difference to it.
EXPECTED_GAIN = 0.16
# Grey component replacement: the share of the grey above a start density (natural logarithm) that black ink takes over.
BLACK_SHARE, BLACK_START = 0.7, 0.35
# Harmonics above this frequency are left out: frames show the canvas at 0.72 times its size or more.
MAX_FREQUENCY = 0.36  # cycles per canvas pixel
# Softness of dots in canvas pixels and in periods; it keeps coverages near [0, 1] where harmonics are cut.
_PIXEL_SIGMA, _DOT_SIGMA = 0.65, 0.12
_HARMONICS = ((1, 0), (1, 1), (2, 0), (2, 1), (1, 2))
_LIGHT_FLOOR = 0.004
_CELL = 64
_LEVELS = 256


def print_tones(
    tones: Float[np.ndarray, "h w 3"], printer: Printer, eye_px: float, rng: np.random.Generator
) -> Float[np.ndarray, "h w 3"]:
    """Returns the reflectance, relative to the paper, of a picture with tones in [0, 1] printed by `printer`."""
    inks = transmittances(printer)
    phases = rng.uniform(0, 2 * np.pi, (4, 2))
    planes = []
    for nominal, angle, phase in zip(separate(tones, printer), SCREEN_ANGLES, phases, strict=True):
        coverage = grow(nominal, printer.dot_gain - EXPECTED_GAIN)
        planes.append(dots(coverage, printer.pitch * eye_px, angle, phase) if printer.pitch else coverage)
    return np.clip(lay(planes, inks), float(inks[3].min()), 1.0)


def transmittances(printer: Printer) -> Float[np.ndarray, "4 3"]:
    """Returns the share of light that full coverage of each ink (C M Y K) lets through in red, green and blue."""
    return (10.0 ** (-np.asarray(printer.densities)[:, None] * np.asarray(INK_HUES))).astype(np.float32)


def separate(tones: Float[np.ndarray, "h w 3"], printer: Printer) -> list[Float[np.ndarray, "h w"]]:
    """Returns the coverages [0, 1] of cyan, magenta, yellow and black that would print `tones` without dot gain."""
    inks = transmittances(printer)
    density = cv2.log(np.clip(tones, np.float32(_LIGHT_FLOOR), np.float32(1.0)))
    density *= np.float32(-printer.contrast)
    red, green, blue = cv2.split(density)
    black = cv2.min(cv2.min(red, green), blue)
    black -= np.float32(BLACK_START)
    black = np.float32(BLACK_SHARE) * np.clip(black, 0, None)
    amounts = cv2.transform(cv2.subtract(density, cv2.merge([black, black, black])), _correction(inks, printer))
    solids = 1 - np.diagonal(inks)
    clear = [*cv2.split(cv2.exp(-amounts)), cv2.exp(-black)]
    return [np.clip((1 - c) * np.float32(1 / s), 0, 1) for c, s in zip(clear, [*solids, 1 - inks[3, 0]], strict=True)]


def _correction(inks: np.ndarray, printer: Printer) -> np.ndarray:
    """Densities to ink amounts: undoes the inks' side absorptions (at half coverage) and weakens colours."""
    half = np.log(1 - 0.5 * (1 - inks[:3]))
    share = half / np.diagonal(half)[:, None]
    return np.linalg.inv(share.T) @ saturation_matrix(printer.saturation)


def grow(coverage: Float[np.ndarray, "h w"], gain: float) -> Float[np.ndarray, "h w"]:
    """Returns coverage after a tone value increase of `gain` at one half, none at 0 and 1 (parabola)."""
    return coverage + np.float32(4 * gain) * coverage * (1 - coverage)


def dots(
    coverage: Float[np.ndarray, "h w"], pitch: float, angle: float, phase: Float[np.ndarray, "2"]
) -> Float[np.ndarray, "h w"]:
    """Gathers coverage into round dots of period `pitch` pixels in rows turned by `angle` degrees; keeps its mean."""
    turn = np.deg2rad(angle)
    across, along = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    tables = _harmonics()
    levels = cv2.convertScaleAbs(coverage, alpha=_LEVELS - 1)
    local = coverage.copy()
    sigma = max(_PIXEL_SIGMA, _DOT_SIGMA * pitch)
    for (k, m), table in tables.items():
        frequency = float(np.hypot(k, m)) / pitch
        if frequency > MAX_FREQUENCY:
            continue
        passed = np.exp(-2 * (np.pi * sigma * frequency) ** 2)
        pair = np.array([[k, m], [-m, k]])
        wave = _waves(coverage.shape, pair @ np.stack([across, along]) / pitch, pair @ phase)
        wave *= cv2.LUT(levels, (passed * table).astype(np.float32))
        local += wave
    return local


@functools.cache
def _harmonics() -> dict[tuple[int, int], np.ndarray]:
    """Fourier coefficients of a round-dot screen as tables over coverage; each serves a wave and the one square to it."""
    angle = (np.arange(_CELL) + 0.5) * 2 * np.pi / _CELL
    u, v = angle[:, None], angle[None, :]
    order = np.argsort(-(np.cos(u) + np.cos(v)), axis=None, kind="stable")
    filled = np.round(np.linspace(0, 1, _LEVELS) * _CELL * _CELL).astype(int)
    tables = {}
    for k, m in _HARMONICS:
        basis = (np.cos(k * u) * np.cos(m * v)).ravel()[order] / _CELL**2
        tables[k, m] = 2 * np.concatenate([[0.0], np.cumsum(basis)])[filled]
    return tables


def _waves(shape: tuple[int, ...], vectors: np.ndarray, phases: np.ndarray) -> np.ndarray:
    """Sum of plane waves cos(2 pi (vx x + vy y) + phase), as one product of columns and rows."""
    x = 2 * np.pi * vectors[:, :1] * np.arange(shape[1])
    y = 2 * np.pi * vectors[:, 1:] * np.arange(shape[0]) + phases[:, None]
    columns = np.concatenate([np.cos(y), -np.sin(y)]).astype(np.float32)
    rows = np.concatenate([np.cos(x), np.sin(x)]).astype(np.float32)
    return columns.T @ rows


def lay(coverages: list[Float[np.ndarray, "h w"]], inks: Float[np.ndarray, "4 3"]) -> Float[np.ndarray, "h w 3"]:
    """Returns the reflectance of local coverages of the four inks on white (Neugebauer with Demichel's weights)."""
    channels, passed = [], np.empty_like(coverages[0])
    for channel in range(3):
        light = np.ones_like(coverages[0])
        for coverage, ink in zip(coverages, inks, strict=True):
            np.multiply(coverage, ink[channel] - 1, out=passed)
            passed += 1
            light *= passed
        channels.append(light)
    return cv2.merge(channels)
