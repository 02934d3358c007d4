"""Cameras of the capture domains, in three qualities; no camera is in two domains.

One sensor pixel of the table stands for a block of photosites, as in the preview of a phone or the stream of a webcam,
which explains full wells above that of one photosite (about 6,000 electrons at 1.1 um pitch). Lengths are in these
pixels. The numbers are plausible for the class of device, not measured on products; `camera_quality` measures what they
amount to.
"""

from dataclasses import dataclass
from typing import Any

LOW, MEDIUM, HIGH = 0, 1, 2
JPEG, VIDEO = "jpeg", "video"
# (strength of the S curve, saturation) by quality: better cameras render punchier pictures.
_LOOKS = ((0.0, 0.5), (0.25, 0.95), (0.5, 1.35))


@dataclass(frozen=True)
class Camera:
    """One camera. `quality` is the option index of CAMERA_QUALITIES.

    resolution: frame height relative to 248 px for a 96 px crop; psf: sigma of the Gaussian blur; defocus: radius of the
    blur disc; falloff: share of light lost in the corners; fringe: relative magnification of red against green, blue has
    the opposite; oversample: radiance pixels per sensor pixel along one side; bayer: False where the stream is scaled
    down from a larger sensor, so that no mosaic is left at this scale; full_well: electrons at white and base gain;
    read_noise: electrons; wb_adapt: share of the grey-world correction applied; tint: remaining white-balance error of
    red and blue; contrast: strength of the S curve; denoise: blur sigma after demosaicing; codec: "jpeg" (4:2:2) or
    "video" (4:2:0 and coarser steps); compression: encoder quality 1..100.
    """

    name: str
    quality: int
    resolution: float = 1.0
    psf: float = 0.45
    defocus: float = 0.0
    falloff: float = 0.08
    fringe: float = 0.0
    oversample: int = 2
    bayer: bool = True
    full_well: float = 24000.0
    read_noise: float = 6.0
    wb_adapt: float = 0.25
    tint: tuple[float, float] = (1.0, 1.0)
    contrast: float = 0.3
    saturation: float = 1.1
    sharpen: float = 0.5
    denoise: float = 0.0
    codec: str = JPEG
    compression: int = 90


def _camera(name: str, quality: int, **optics: Any) -> Camera:
    contrast, saturation = _LOOKS[quality]
    return Camera(name, quality, contrast=contrast, saturation=saturation, **optics)


def _low(name: str, **optics: Any) -> Camera:
    usual = {"resolution": 0.85, "psf": 0.6, "defocus": 0.7, "falloff": 0.22, "fringe": 0.0015, "bayer": False}
    usual |= {"full_well": 5000.0, "read_noise": 9.0, "sharpen": 0.6, "codec": VIDEO, "compression": 74}
    return _camera(name, LOW, **(usual | optics))


# One of these took the photograph that an attacker prints or replays; its sensor pixels are those of the head canvas or
# twice as large.
SOURCE_CAMERAS = (
    Camera(
        "sharp", HIGH, psf=0.7, oversample=1, bayer=False, full_well=20e3, read_noise=3, wb_adapt=0.8, compression=92
    ),
    Camera("shared", MEDIUM, psf=0.65, bayer=False, full_well=9e3, wb_adapt=0.8, sharpen=0.9, compression=74),
    Camera("soft", LOW, psf=0.95, bayer=False, full_well=5e3, wb_adapt=0.8, sharpen=0.8, compression=64),
)

CAMERAS: dict[str, tuple[Camera, ...]] = {
    "syn_a": (
        _camera("a_phone", HIGH, resolution=1.05, psf=0.4, full_well=52e3, sharpen=0.7, compression=95),
        _low("a_webcam"),
        _camera("a_tablet", MEDIUM, resolution=0.95, full_well=18e3, sharpen=0.7, fringe=0.0006, compression=86),
    ),
    "syn_b": (
        _camera("b_laptop", MEDIUM, psf=0.48, sharpen=0.7, full_well=16e3, tint=(1.04, 0.97), compression=84),
        _camera("b_phone", HIGH, resolution=1.05, psf=0.4, full_well=56e3, sharpen=0.8, compression=95),
        _low("b_gate", falloff=0.3, fringe=0.0025),
    ),
    "syn_c": (
        _low("c_action", falloff=0.35, fringe=0.002, sharpen=0.6, compression=76),
        _camera("c_slr", HIGH, resolution=1.1, psf=0.38, full_well=64e3, read_noise=4, sharpen=0.4, compression=95),
        _camera("c_phone", MEDIUM, full_well=20e3, sharpen=0.8, codec=VIDEO, compression=86),
    ),
    "syn_d": (
        _low("d_door", falloff=0.28, compression=76),
        _camera("d_phone", MEDIUM, psf=0.42, full_well=20e3, tint=(0.97, 1.04), sharpen=0.6, compression=88),
        _camera("d_compact", HIGH, resolution=1.05, psf=0.4, full_well=50e3, compression=95),
    ),
    "syn_e": (
        _camera("e_flagship", HIGH, resolution=1.08, psf=0.38, full_well=58e3, sharpen=0.6, compression=96),
        _camera("e_conference", MEDIUM, defocus=0.2, full_well=17e3, tint=(1.03, 1.0), codec=VIDEO, compression=85),
        _low("e_terminal", full_well=4500.0, tint=(0.96, 1.03), compression=72),
    ),
    "syn_f": (
        _camera("f_selfie", MEDIUM, resolution=0.95, full_well=15e3, denoise=0.35, sharpen=0.9, compression=87),
        _low("f_doorbell", fringe=0.003, falloff=0.4, compression=73),
        _camera(
            "f_mirrorless", HIGH, resolution=1.1, psf=0.4, full_well=60e3, read_noise=3, sharpen=0.45, compression=96
        ),
    ),
    "syn_meta": (
        _low("meta_netbook"),
        _camera("meta_midrange", MEDIUM, full_well=19e3, compression=87),
        _camera("meta_premium", HIGH, resolution=1.06, psf=0.4, full_well=54e3, sharpen=0.7, compression=95),
        _low("meta_kiosk", falloff=0.3, fringe=0.0025, full_well=5500.0, compression=75),
        _camera("meta_tablet", MEDIUM, resolution=0.95, full_well=17e3, sharpen=0.7, codec=VIDEO, compression=86),
        _camera(
            "meta_system", HIGH, resolution=1.1, psf=0.38, full_well=55e3, read_noise=4, sharpen=0.5, compression=96
        ),
    ),
}
