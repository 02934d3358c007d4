"""InstructFLIP's Table 6: one, two or three style questions. Published mean HTER %: 20.65, 19.25, 12.68.

Scoring asks the last question in use. Under profile=released, bona fide samples are asked about camera quality all the same.
"""

from typing import Any

_QUESTIONS = ("illumination", "environment", "camera_quality")


def get_sweep() -> list[dict[str, Any]]:
    """Returns the runs: name, config file with argument, overrides."""
    return [
        {
            "name": f"style_{count}",
            "config": "configs/instruct_flip.py",
            "overrides": {"text.style_questions": _QUESTIONS[:count], "text.eval_style": _QUESTIONS[count - 1]},
        }
        for count in (1, 2, 3)
    ]
