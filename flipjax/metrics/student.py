"""95 % intervals and p values from an estimate, its standard error and degrees of freedom (Student's t; infinite: normal)."""

import numpy as np
from scipy.special import expit, logit, stdtr, stdtrit

LEVEL = 0.95


def reach(standard_error: float, degrees: float) -> float:
    """Returns half the width of a 95 % interval."""
    return float(stdtrit(degrees, (1 + LEVEL) / 2)) * standard_error


def logit_interval(estimate: float, standard_error: float, degrees: float) -> tuple[float, float]:
    """Returns (low, high) of a rate strictly inside (0, 1), symmetric on the logit scale: se / (est * (1 - est)) there.

    It never leaves [0, 1] and is wider towards one half, as the distribution of an error rate near zero is.
    """
    half = reach(standard_error / (estimate * (1 - estimate)), degrees)
    return float(expit(logit(estimate) - half)), float(expit(logit(estimate) + half))


def two_sided_p(difference: float, standard_error: float, degrees: float) -> float | None:
    """Returns the p value of a difference being zero; None where it is not defined: a difference without any spread."""
    if standard_error > 0:
        return 2 * float(stdtr(degrees, -np.abs(difference) / standard_error))
    return None if difference else 1.0
