"""BPCER where the worst instrument's APCER is held: BPCER20 (APCER at most 5 %), BPCER100 (at most 1 %)."""

import numpy as np
from jaxtyping import Bool, Float, Shaped

from flipjax.metrics.rates import bpcer
from flipjax.metrics.thresholds import at_apcer

APCER_LIMITS = {"bpcer20": 1 / 20, "bpcer100": 1 / 100}


def bpcer_at_apcer(
    scores: Float[np.ndarray, "b"],
    is_bona_fide: Bool[np.ndarray, "b"],
    attack_type: Shaped[np.ndarray, "b"],
    *,
    limit: float,
) -> float:
    """Share of bona fide rejected, in [0, 1], at the lowest threshold where no instrument's APCER is above `limit`.

    An instrument of fewer than 1 / `limit` attacks may have none accepted. The threshold is chosen on the scores
    themselves, so this describes a trade-off and is no error rate to expect at a threshold fixed before.

    Args:
      attack_type: instrument name per row; not read where the row is bona fide, empty means "other".
      limit: share in [0, 1).

    Raises:
      MetricError: a class is missing, a score is not a finite number, or `limit` is outside [0, 1).

    Example:
      >>> scores, photo = np.array([0.9, 0.4, 0.6, 0.1]), np.array(["", "", "photo", "photo"])
      >>> bpcer_at_apcer(scores, np.array([True, True, False, False]), photo, limit=0.05)
      0.5

    Source: bob.pad.base, whose criteria bpcer20 and apcerN choose the threshold in this way.
    """
    rule = at_apcer(scores, is_bona_fide, attack_type, limit=limit, data="")
    return bpcer(scores, is_bona_fide, rule.threshold)
