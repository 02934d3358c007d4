"""Printers, inks and papers of the capture domains, by their physical properties.

Sources of the values, all of them typical ranges rather than products:
- ink densities: black solids of ISO 12647-2 (L* 16 on coated, L* 31 on uncoated stock, i.e. densities about 1.7 and
  1.2), cold-set newsprint about 0.9 for colours and 1.1 for black, dye prints on glossy stock 1.8 to 2.2;
- dot gain at half coverage: 14 to 22 % in offset (ISO 12647-2) and laser printing, about 26 % on newsprint;
- screen ruling: 300 to 600 dpi lasers and copiers 37 to 65 lines per inch with their own screens (a cell of 8 dots at
  300 dpi gives 37), newspapers 50 to 85, offset magazines 133, screen-printed and billboard posters 10 to 30; dye prints
  and photo inkjets are continuous to the eye;
- paper white: L* 93 to 95 coated or office stock (bluish with brighteners), L* 82 newsprint, L* 90 warm recycled;
- face size: A4 portrait 60 to 75 mm between the eyes, 10 x 15 cm photograph 15 to 25 mm, passport picture 9 to 13 mm,
  identity-card picture 6 to 8 mm, poster 90 to 150 mm, half-length figure on a poster 35 to 60 mm, figure among others on
  a poster 12 to 25 mm. Small pictures are favoured: their dots can be seen in small crops.
"""

from dataclasses import dataclass

Colour = tuple[float, float, float]
MM_PER_INCH = 25.4


@dataclass(frozen=True)
class Printer:
    """One way of printing faces of one size on one paper.

    dpi: raster on which the driver lays the picture; lpi: ruling of the halftone screen, 0 for continuous tone; eye_mm:
    distance between the eyes on the sheet; dot_gain: growth of coverage at one half; densities: solid C M Y K inks
    relative to paper; saturation and contrast: of the profile, 1 = faithful; paper: linear reflectance; grain: relative
    deviation of the reflectance from point to point; spread_mm: sigma by which ink or dye runs; gloss: mirror-like share
    0..1; curl: usual bend of the sheet.
    """

    name: str
    instrument: str
    dpi: float
    lpi: float
    eye_mm: float
    dot_gain: float
    densities: tuple[float, float, float, float]
    saturation: float
    contrast: float
    paper: Colour
    grain: float
    spread_mm: float
    gloss: float
    curl: float

    @property
    def pitch(self) -> float:
        """Period of the halftone screen in eye units (0: continuous tone)."""
        return MM_PER_INCH / self.lpi / self.eye_mm if self.lpi else 0.0

    @property
    def blur(self) -> float:
        """Sigma of the print's softness in eye units: running ink and the raster's box (width / sqrt 12)."""
        raster_mm = MM_PER_INCH / self.dpi / 12**0.5
        return (self.spread_mm**2 + raster_mm**2) ** 0.5 / self.eye_mm


_DYE, _PIGMENT = (1.9, 2.0, 1.9, 2.1), (1.6, 1.6, 1.5, 1.8)
_TONER, _PLAIN = (1.3, 1.3, 1.15, 1.5), (1.0, 1.0, 0.9, 1.2)
_OFFSET, _NEWS, _SILK = (1.4, 1.4, 1.35, 1.7), (0.9, 0.9, 0.85, 1.1), (1.5, 1.45, 1.3, 1.6)
_GLOSSY, _PEARL, _OFFICE = (0.86, 0.86, 0.85), (0.84, 0.84, 0.83), (0.80, 0.82, 0.87)
_RECYCLED, _NEWSPRINT, _VINYL = (0.76, 0.74, 0.67), (0.62, 0.59, 0.52), (0.86, 0.87, 0.88)
_CREAM, _COATED = (0.84, 0.81, 0.73), (0.84, 0.84, 0.84)


# name, instrument, dpi, lpi, eye_mm, dot_gain, densities, saturation, contrast, paper, grain, spread_mm, gloss, curl
PRINTERS: dict[str, tuple[Printer, ...]] = {
    "syn_a": (
        Printer("a_lab_photo", "photo", 300, 0, 17, 0.16, _DYE, 0.95, 0.9, _GLOSSY, 0.012, 0.06, 0.8, 0.12),
        Printer("a_laser", "a4_paper", 300, 43, 7, 0.20, _TONER, 0.85, 0.85, _OFFICE, 0.02, 0.06, 0.1, 0.12),
        Printer("a_offset", "poster", 150, 22, 12, 0.19, _OFFSET, 0.92, 0.8, _COATED, 0.015, 0.2, 0.4, 0.08),
    ),
    "syn_b": (
        Printer("b_inkjet_photo", "photo", 600, 0, 20, 0.18, _PIGMENT, 1.0, 0.85, _PEARL, 0.02, 0.09, 0.5, 0.14),
        Printer("b_inkjet_plain", "a4_paper", 150, 42, 7, 0.24, _PLAIN, 0.75, 0.75, _OFFICE, 0.04, 0.3, 0.0, 0.18),
        Printer("b_plotter", "poster", 150, 0, 110, 0.18, _PIGMENT, 0.95, 0.85, _PEARL, 0.02, 1.6, 0.25, 0.12),
    ),
    "syn_c": (
        Printer("c_kiosk_photo", "photo", 300, 0, 15, 0.16, _DYE, 0.9, 1.0, _GLOSSY, 0.01, 0.16, 0.9, 0.14),
        Printer("c_copier", "a4_paper", 200, 40, 7, 0.22, _TONER, 0.8, 1.0, _RECYCLED, 0.03, 0.05, 0.1, 0.12),
        Printer("c_banner", "poster", 72, 0, 60, 0.20, _PIGMENT, 0.88, 0.75, _VINYL, 0.02, 1.4, 0.5, 0.1),
    ),
    "syn_d": (
        Printer("d_mini_photo", "photo", 300, 0, 11, 0.16, _PIGMENT, 0.85, 0.95, _COATED, 0.015, 0.16, 0.6, 0.1),
        Printer("d_led", "a4_paper", 600, 45, 6, 0.18, _TONER, 0.85, 0.85, _CREAM, 0.02, 0.07, 0.15, 0.14),
        Printer("d_screenprint", "poster", 100, 15, 17, 0.22, _SILK, 1.0, 0.9, _COATED, 0.02, 0.3, 0.2, 0.06),
    ),
    "syn_e": (
        Printer("e_magazine", "photo", 300, 100, 12, 0.19, _OFFSET, 0.92, 0.85, _COATED, 0.012, 0.05, 0.55, 0.16),
        Printer("e_newspaper", "a4_paper", 150, 50, 5.5, 0.26, _NEWS, 0.8, 0.75, _NEWSPRINT, 0.04, 0.09, 0.0, 0.16),
        Printer("e_billboard", "poster", 40, 11, 24, 0.16, _PIGMENT, 0.95, 0.85, _VINYL, 0.01, 0.5, 0.35, 0.05),
    ),
    "syn_f": (
        Printer("f_dyesub", "photo", 300, 0, 13, 0.16, _DYE, 1.02, 0.9, _GLOSSY, 0.01, 0.2, 0.7, 0.12),
        Printer("f_office_ink", "a4_paper", 300, 0, 64, 0.22, _PLAIN, 0.8, 0.8, _RECYCLED, 0.05, 0.35, 0.0, 0.2),
        Printer("f_silkscreen", "poster", 120, 18, 14, 0.24, _SILK, 0.9, 0.85, _CREAM, 0.03, 0.25, 0.0, 0.12),
    ),
    "syn_meta": (
        Printer("m_minilab", "photo", 300, 0, 19, 0.16, _DYE, 0.97, 0.9, _PEARL, 0.012, 0.08, 0.5, 0.12),
        Printer("m_instant", "photo", 200, 0, 14, 0.16, _PIGMENT, 0.8, 0.8, _CREAM, 0.02, 0.35, 0.7, 0.06),
        Printer("m_ink_glossy", "photo", 600, 0, 22, 0.18, _DYE, 1.03, 0.95, _GLOSSY, 0.015, 0.08, 0.85, 0.14),
        Printer("m_laser_draft", "a4_paper", 200, 40, 6.5, 0.22, _TONER, 0.8, 0.9, _OFFICE, 0.025, 0.06, 0.05, 0.14),
        Printer("m_ink_draft", "a4_paper", 100, 0, 16, 0.26, _PLAIN, 0.7, 0.7, _RECYCLED, 0.05, 0.35, 0.0, 0.2),
        Printer("m_laser_fine", "a4_paper", 600, 141, 65, 0.18, _TONER, 0.88, 0.9, _OFFICE, 0.015, 0.06, 0.2, 0.1),
        Printer("m_street", "poster", 60, 14, 20, 0.2, _SILK, 0.95, 0.85, _COATED, 0.015, 0.4, 0.1, 0.08),
        Printer("m_latex", "poster", 100, 0, 70, 0.18, _PIGMENT, 0.92, 0.85, _VINYL, 0.015, 1.2, 0.4, 0.1),
        Printer("m_art_print", "poster", 300, 40, 8, 0.18, _OFFSET, 0.97, 0.9, _CREAM, 0.02, 0.15, 0.1, 0.1),
    ),
}
