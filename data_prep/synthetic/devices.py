"""Tables of the simulated equipment: what each capture domain films with, prints on and replays from.

Pitches are in eye units of the shown face; camera lengths are in sensor pixels. The numbers are plausible, not measured
on products; domains share no camera, printer or screen.
"""

from dataclasses import dataclass

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Camera:
    """One camera. `quality` is the option index of CAMERA_QUALITIES.

    resolution: frame height relative to 248 px for a 96 px crop; psf: blur sigma; oversample: radiance pixels per sensor
    pixel along one side; full_well: electrons at white and base gain; read_noise: electrons; wb_adapt: share of the grey-world
    correction applied; tint: remaining white-balance error of red and blue; contrast: strength of the S curve;
    denoise: blur sigma after demosaicing; jpeg: quality 1..100.
    """

    name: str
    quality: int
    resolution: float = 1.0
    psf: float = 0.45
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
    jpeg: int = 90


@dataclass(frozen=True)
class Printer:
    """One way of printing on one paper; `pitch` of the halftone screen in eye units (0: continuous tone)."""

    name: str
    instrument: str
    pitch: float
    grain: float
    contrast: float
    black: float
    saturation: float
    paper: Colour
    gloss: float


@dataclass(frozen=True)
class Screen:
    """One display; `pitch` of its pixels in eye units, `layout` "stripe" or "pentile", `lines` depth of the pixel grid."""

    name: str
    instrument: str
    pitch: float
    layout: str
    lines: float
    gamma: float
    black: float
    white: Colour
    reflection: float
    bezel: float
    flicker: float = 0.0


@dataclass(frozen=True)
class Site:
    """One capture domain: its equipment, rooms and usual light."""

    domain: str
    cameras: tuple[Camera, ...]
    printers: tuple[Printer, ...]
    screens: tuple[Screen, ...]
    walls: tuple[tuple[int, int, int], ...]
    outdoor_share: float
    warmth: float
    distance: tuple[float, float]


# One of these took the photograph that an attacker prints or replays; the scene is drawn at their sensor pixels.
SOURCE_CAMERAS = (
    Camera("sharp", 2, psf=0.7, oversample=1, bayer=False, full_well=20000.0, read_noise=3.0, wb_adapt=0.8, jpeg=92),
    Camera("shared", 1, psf=1.3, oversample=1, bayer=False, full_well=9000.0, wb_adapt=0.8, sharpen=0.9, jpeg=74),
    Camera("soft", 0, psf=1.9, oversample=1, bayer=False, full_well=5000.0, wb_adapt=0.8, sharpen=0.8, jpeg=64),
)

SITES: tuple[Site, ...] = (
    Site(
        "syn_a",
        (
            Camera("a_phone", 2, 1.05, psf=0.4, full_well=36000, contrast=0.5, saturation=1.35, sharpen=0.7, jpeg=95),
            Camera(
                "a_webcam",
                0,
                0.85,
                psf=0.5,
                bayer=False,
                full_well=6000,
                contrast=0.0,
                saturation=0.5,
                sharpen=0.9,
                jpeg=74,
            ),
            Camera("a_tablet", 1, 0.95, psf=0.45, full_well=18000, contrast=0.25, saturation=0.95, jpeg=86),
        ),
        (
            Printer("a_lab_photo", "photo", 0.0, 0.2, 1.15, 0.03, 0.96, (0.86, 0.85, 0.82), 0.5),
            Printer("a_laser", "a4_paper", 0.084, 0.03, 1.1, 0.05, 0.87, (0.84, 0.85, 0.88), 0.05),
            Printer("a_offset", "poster", 0.119, 0.02, 1.05, 0.05, 0.93, (0.83, 0.82, 0.78), 0.25),
        ),
        (
            Screen("a_monitor", "pc_screen", 0.076, "stripe", 0.9, 2.3, 0.006, (0.95, 1.0, 1.06), 0.03, 0.25, 0.06),
            Screen("a_tablet", "pad_screen", 0.07, "stripe", 0.9, 2.2, 0.004, (0.98, 1.0, 1.02), 0.06, 0.3),
            Screen("a_handset", "phone_screen", 0.051, "pentile", 0.9, 2.2, 0.001, (0.97, 1.0, 1.06), 0.06, 0.1),
        ),
        ((206, 202, 194), (176, 186, 190), (222, 214, 200)),
        0.4,
        0.1,
        (36.0, 50.0),
    ),
    Site(
        "syn_b",
        (
            Camera(
                "b_laptop",
                1,
                0.95,
                psf=0.5,
                full_well=16000,
                tint=(1.04, 0.97),
                contrast=0.25,
                saturation=0.95,
                jpeg=84,
            ),
            Camera("b_phone", 2, 1.05, psf=0.4, full_well=40000, contrast=0.5, saturation=1.35, sharpen=0.8, jpeg=95),
            Camera(
                "b_gate",
                0,
                0.85,
                psf=0.5,
                bayer=False,
                full_well=6000,
                contrast=0.0,
                saturation=0.5,
                sharpen=0.9,
                jpeg=74,
            ),
        ),
        (
            Printer("b_inkjet_photo", "photo", 0.0, 0.2, 1.1, 0.02, 1.02, (0.88, 0.87, 0.86), 0.4),
            Printer("b_inkjet_plain", "a4_paper", 0.068, 0.07, 0.95, 0.08, 0.81, (0.8, 0.81, 0.83), 0.0),
            Printer("b_plotter", "poster", 0.101, 0.05, 1.1, 0.04, 0.96, (0.86, 0.86, 0.85), 0.1),
        ),
        (
            Screen("b_office", "pc_screen", 0.084, "stripe", 0.9, 2.2, 0.009, (1.03, 1.0, 0.97), 0.02, 0.2, 0.1),
            Screen("b_slate", "pad_screen", 0.076, "stripe", 0.9, 2.4, 0.005, (0.96, 1.0, 1.05), 0.07, 0.25),
            Screen("b_mobile", "phone_screen", 0.055, "stripe", 0.9, 2.1, 0.004, (1.0, 1.0, 1.04), 0.07, 0.12),
        ),
        ((150, 136, 116), (196, 178, 150), (120, 130, 122)),
        0.4,
        0.2,
        (34.0, 46.0),
    ),
    Site(
        "syn_c",
        (
            Camera(
                "c_action",
                0,
                0.85,
                psf=0.5,
                bayer=False,
                full_well=6000,
                contrast=0.0,
                saturation=0.5,
                sharpen=1.0,
                jpeg=76,
            ),
            Camera(
                "c_slr",
                2,
                1.1,
                psf=0.38,
                full_well=64000,
                read_noise=4,
                contrast=0.5,
                saturation=1.35,
                sharpen=0.4,
                jpeg=95,
            ),
            Camera("c_phone", 1, 1.0, psf=0.45, full_well=20000, contrast=0.25, saturation=0.95, sharpen=0.8, jpeg=86),
        ),
        (
            Printer("c_kiosk_photo", "photo", 0.0, 0.2, 1.25, 0.04, 0.93, (0.85, 0.84, 0.8), 0.6),
            Printer("c_copier", "a4_paper", 0.095, 0.03, 1.2, 0.04, 0.9, (0.82, 0.83, 0.84), 0.1),
            Printer("c_banner", "poster", 0.128, 0.03, 1.0, 0.06, 0.9, (0.84, 0.84, 0.86), 0.3),
        ),
        (
            Screen("c_gaming", "pc_screen", 0.069, "stripe", 0.9, 2.2, 0.004, (0.94, 1.0, 1.07), 0.02, 0.3, 0.04),
            Screen("c_reader", "pad_screen", 0.071, "stripe", 0.9, 2.2, 0.008, (1.01, 1.0, 0.99), 0.05, 0.35),
            Screen("c_oled", "phone_screen", 0.054, "pentile", 0.9, 2.25, 0.0005, (0.98, 1.0, 1.05), 0.05, 0.08),
        ),
        ((168, 180, 196), (190, 194, 186), (214, 208, 204)),
        0.6,
        0.0,
        (36.0, 52.0),
    ),
    Site(
        "syn_d",
        (
            Camera("d_door", 0, 0.85, psf=0.5, full_well=6000, contrast=0.0, saturation=0.5, sharpen=0.9, jpeg=76),
            Camera(
                "d_phone",
                1,
                1.0,
                psf=0.42,
                full_well=20000,
                tint=(0.97, 1.04),
                contrast=0.25,
                saturation=0.95,
                sharpen=0.6,
                jpeg=88,
            ),
            Camera("d_compact", 2, 1.05, psf=0.4, full_well=50000, contrast=0.5, saturation=1.35, jpeg=95),
        ),
        (
            Printer("d_mini_photo", "photo", 0.0, 0.2, 1.2, 0.05, 0.9, (0.83, 0.83, 0.83), 0.45),
            Printer("d_led", "a4_paper", 0.076, 0.05, 1.05, 0.06, 0.84, (0.85, 0.84, 0.8), 0.05),
            Printer("d_screenprint", "poster", 0.111, 0.04, 1.15, 0.03, 0.99, (0.86, 0.85, 0.82), 0.15),
        ),
        (
            Screen("d_tv", "pc_screen", 0.089, "stripe", 0.9, 2.4, 0.007, (0.97, 1.0, 1.06), 0.04, 0.25, 0.08),
            Screen("d_pad", "pad_screen", 0.078, "pentile", 0.9, 2.2, 0.003, (0.99, 1.0, 1.03), 0.05, 0.3),
            Screen("d_cheap", "phone_screen", 0.058, "stripe", 0.9, 2.0, 0.01, (0.96, 1.0, 1.07), 0.08, 0.15),
        ),
        ((132, 140, 150), (186, 176, 160), (98, 92, 96)),
        0.45,
        0.15,
        (35.0, 48.0),
    ),
)
DOMAINS = tuple(site.domain for site in SITES)
