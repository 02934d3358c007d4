"""Displays of the capture domains, by their physical properties.

Sources of the values, all of them typical ranges rather than products:
- pixel density: televisions and cheap monitors 52 to 82 pixels per inch, desktop monitors 90 to 110, laptops 100 to 141,
  old and cheap tablets 118 to 149, later ones 220 to 265, early smartphones 165 to 250, later ones 400 to 460;
- face size: 25 to 60 mm between the eyes filling a display, 12 to 25 mm in a window or a video call, 3 to 9 mm as a small
  picture in a gallery or a list of contacts. Small pictures are favoured: their pixels can be seen in small crops;
- sub-pixels: red, green and blue stripes on liquid crystals; many emissive (OLED) panels have half as many red and blue
  as green ones ("pentile"); the open part of a cell is 55 to 85 % wide;
- contrast: twisted-nematic panels 400 to 800, in-plane switching 800 to 1500, vertical alignment 3000, emissive ones
  practically without light in black;
- white: 6500 K neutral, cheap panels 7500 to 9300 K (bluish), reading modes about 5000 K;
- dimming by pulses at 60 to 480 Hz (steady: depth 0); glass reflects 4 to 5 %, coated glass 1 to 2 %, matt films
  spread about 2 % over a wide angle;
- luminance: 150 to 500 cd/m2, against 80 to 200 cd/m2 of white paper in a lit room, turned down by whoever attacks.
"""

from dataclasses import dataclass

Colour = tuple[float, float, float]
MM_PER_INCH = 25.4
STRIPE, PENTILE = "stripe", "pentile"


@dataclass(frozen=True)
class Screen:
    """One display that shows faces of one size.

    ppi: pixels per inch; eye_mm: distance between the eyes on it; layout: STRIPE or PENTILE; fill: open share of a cell's
    width; gamma of the panel (pictures expect 2.2); contrast: white over black; saturation: 1 = the picture's colours;
    white: linear RGB of white; luminance: relative to white paper under the light of its room; pwm_hz and pwm_depth: its
    flicker, depth 0..1 of the mean; reflectance: of the front; haze: blur of mirror images, 0 mirror .. 1 matt; bezel_mm.
    """

    name: str
    instrument: str
    ppi: float
    eye_mm: float
    layout: str
    fill: float
    gamma: float
    contrast: float
    saturation: float
    white: Colour
    luminance: float
    pwm_hz: float
    pwm_depth: float
    reflectance: float
    haze: float
    bezel_mm: float

    @property
    def pitch(self) -> float:
        """Distance of neighbouring pixels in eye units."""
        return MM_PER_INCH / self.ppi / self.eye_mm

    @property
    def bezel(self) -> float:
        """Width of the frame in eye units."""
        return self.bezel_mm / self.eye_mm


_NEUTRAL, _COOL, _COLD = (1.0, 1.0, 1.0), (0.92, 1.0, 1.10), (0.84, 1.0, 1.22)
_WARM, _READING = (1.05, 1.0, 0.90), (1.10, 1.0, 0.76)
_PC, _PAD, _PHONE = "pc_screen", "pad_screen", "phone_screen"

# name, instrument, ppi, eye_mm, layout, fill, gamma, contrast, saturation, white, luminance, pwm_hz, pwm_depth,
# reflectance, haze, bezel_mm
SCREENS: dict[str, tuple[Screen, ...]] = {
    "syn_a": (
        Screen("a_monitor", _PC, 82, 6, STRIPE, 0.7, 2.3, 900, 0.9, _COOL, 1.3, 200, 0.25, 0.02, 0.8, 14),
        Screen("a_tablet", _PAD, 118, 4.6, STRIPE, 0.65, 2.2, 800, 0.85, _NEUTRAL, 1.4, 60, 0.0, 0.05, 0.15, 11),
        Screen("a_handset", _PHONE, 165, 4, PENTILE, 0.5, 2.2, 50000, 1.2, _COOL, 1.2, 240, 0.4, 0.05, 0.1, 4),
    ),
    "syn_b": (
        Screen("b_office", _PC, 90, 5.5, STRIPE, 0.7, 2.2, 700, 0.8, _WARM, 1.1, 180, 0.3, 0.02, 0.9, 16),
        Screen("b_slate", _PAD, 149, 4.5, STRIPE, 0.6, 2.4, 900, 1.0, _COOL, 1.4, 60, 0.0, 0.045, 0.1, 16),
        Screen("b_mobile", _PHONE, 165, 3, STRIPE, 0.65, 2.1, 600, 0.75, _COLD, 1.3, 60, 0.1, 0.05, 0.12, 5),
    ),
    "syn_c": (
        Screen("c_gaming", _PC, 81, 6, STRIPE, 0.75, 2.2, 3000, 1.05, _COLD, 1.5, 240, 0.15, 0.02, 0.7, 12),
        Screen("c_reader", _PAD, 118, 4.6, STRIPE, 0.65, 2.2, 500, 0.7, _READING, 1.0, 60, 0.0, 0.05, 0.2, 9),
        Screen("c_oled", _PHONE, 233, 4, PENTILE, 0.45, 2.2, 80000, 1.15, _NEUTRAL, 1.3, 240, 0.5, 0.04, 0.05, 3),
    ),
    "syn_d": (
        Screen("d_tv", _PC, 52, 9, STRIPE, 0.75, 2.4, 3000, 1.1, _COLD, 1.6, 120, 0.2, 0.03, 0.5, 25),
        Screen("d_pad", _PAD, 132, 4.4, PENTILE, 0.5, 2.2, 60000, 1.1, _NEUTRAL, 1.2, 240, 0.3, 0.045, 0.1, 11),
        Screen("d_cheap", _PHONE, 170, 3, STRIPE, 0.6, 2.0, 450, 0.7, _COOL, 1.2, 60, 0.1, 0.055, 0.15, 5),
    ),
    "syn_e": (
        Screen("e_laptop", _PC, 100, 5.5, STRIPE, 0.65, 2.1, 420, 0.7, _COLD, 1.0, 220, 0.35, 0.025, 0.85, 15),
        Screen("e_child_pad", _PAD, 118, 4.6, STRIPE, 0.6, 2.0, 500, 0.72, _COOL, 1.1, 60, 0.05, 0.06, 0.15, 14),
        Screen("e_flagship", _PHONE, 458, 27, STRIPE, 0.55, 2.2, 1400, 1.05, _WARM, 1.6, 60, 0.0, 0.045, 0.05, 5),
    ),
    "syn_f": (
        Screen("f_all_in_one", _PC, 102, 5, STRIPE, 0.7, 2.2, 1000, 1.0, _NEUTRAL, 1.4, 60, 0.0, 0.045, 0.2, 22),
        Screen("f_convertible", _PAD, 141, 18, STRIPE, 0.65, 2.3, 1100, 0.95, _WARM, 1.2, 200, 0.2, 0.05, 0.12, 9),
        Screen("f_early_oled", _PHONE, 170, 3.2, PENTILE, 0.5, 2.3, 40000, 1.25, _COOL, 1.1, 240, 0.5, 0.05, 0.1, 4),
    ),
    "syn_meta": (
        Screen("m_curved", _PC, 82, 6.5, STRIPE, 0.75, 2.2, 3000, 1.05, _NEUTRAL, 1.4, 60, 0.0, 0.02, 0.75, 8),
        Screen("m_notebook", _PC, 141, 30, STRIPE, 0.7, 2.2, 1200, 0.9, _COOL, 1.2, 60, 0.0, 0.04, 0.3, 10),
        Screen("m_old_tft", _PC, 86, 6, STRIPE, 0.65, 2.0, 450, 0.72, _COLD, 1.0, 180, 0.35, 0.02, 0.95, 20),
        Screen("m_pad_mini", _PAD, 163, 3.6, STRIPE, 0.65, 2.2, 800, 0.8, _NEUTRAL, 1.3, 60, 0.0, 0.05, 0.1, 7),
        Screen("m_pad_pro", _PAD, 264, 45, STRIPE, 0.6, 2.2, 1500, 1.05, _WARM, 1.5, 60, 0.0, 0.02, 0.08, 9),
        Screen("m_pad_cheap", _PAD, 128, 22, STRIPE, 0.6, 2.1, 480, 0.75, _COLD, 1.1, 120, 0.1, 0.06, 0.18, 12),
        Screen("m_phone_lcd", _PHONE, 326, 24, STRIPE, 0.6, 2.2, 1000, 0.95, _NEUTRAL, 1.3, 60, 0.0, 0.045, 0.08, 9),
        Screen("m_phone_oled", _PHONE, 409, 28, PENTILE, 0.45, 2.2, 80000, 1.2, _COOL, 1.4, 240, 0.45, 0.045, 0.05, 3),
        Screen("m_phone_old", _PHONE, 184, 3.2, STRIPE, 0.65, 2.1, 500, 0.72, _COLD, 1.1, 100, 0.15, 0.055, 0.15, 5),
    ),
}
