"""A diagnosis as one self-contained HTML page: no script, no font, no request to anywhere; every name is escaped."""

from pathlib import Path
from typing import Any

import jinja2

from data_prep.doctor.diagnosis import Diagnosis
from data_prep.doctor.findings import LEVELS, Finding

# Sign, heading and meaning of each level: told apart without colour.
_SHOWN = {
    "error": ("✖", "Errors", "something that matters is wrong"),
    "warning": ("▲", "Warnings", "worth a look"),
    "note": ("●", "Notes", "good to know"),
    "good": ("✔", "In order", "looked at and found right"),
}


def render_page(diagnosis: Diagnosis) -> str:
    """Returns the page of a diagnosis."""
    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    strict = jinja2.StrictUndefined
    environment = jinja2.Environment(autoescape=True, undefined=strict, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(
        facts=diagnosis.facts,
        unit=diagnosis.unit,
        examined=diagnosis.examined,
        verdict=_verdict(diagnosis.findings),
        levels=[_level(level, diagnosis.findings) for level in LEVELS],
        counts=diagnosis.counts,
        groups=diagnosis.groups,
    )


def _level(level: str, findings: list[Finding]) -> dict[str, Any]:
    sign, heading, meaning = _SHOWN[level]
    chosen = [finding for finding in findings if finding.level == level]
    return {"name": level, "sign": sign, "heading": heading, "meaning": meaning, "findings": chosen}


def _verdict(findings: list[Finding]) -> tuple[str, str]:
    """(level, sentence) at the top of the page."""
    errors, warnings = (sum(finding.level == level for finding in findings) for level in ("error", "warning"))
    if errors:
        return "error", "Something that matters is wrong: mend it before you train or report numbers."
    if warnings:
        return "warning", "Nothing that matters is wrong; look through the warnings once."
    return "good", "Nothing is wrong with what was examined."
