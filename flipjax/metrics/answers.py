"""How often multiple-choice answers are right, per question; every option counts alike however often it occurs."""

import numpy as np
from jaxtyping import Int

from flipjax.core.errors import MetricError


def balanced_accuracy(predicted: Int[np.ndarray, "n"], labels: Int[np.ndarray, "n"]) -> float:
    """Mean recall in percent over the options that occur among the known labels.

    Args:
      predicted: option index per sample; a negative one (no answer) is wrong.
      labels: index of the right option, negative where unknown; such samples count for nothing.

    Raises:
      MetricError: no label is known.

    Example:
      >>> balanced_accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 1, -1]))
      50.0
    """
    options = np.unique(labels[labels >= 0])
    if not len(options):
        raise MetricError(f"none of {len(labels)} labels is known; balanced accuracy needs labelled samples")
    return 100.0 * float(np.mean([np.mean(predicted[labels == option] == option) for option in options]))
