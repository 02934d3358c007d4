"""Every test runs on eight virtual CPU devices, with run-time type checks on and no network."""

import os

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import jax
import pytest
from absl import flags

jax.config.update("jax_default_matmul_precision", "highest")


@pytest.fixture(scope="session", autouse=True)
def parsed_flags() -> None:
    """Marks absl flags as parsed; grain reads them from its worker code."""
    flags.FLAGS.mark_as_parsed()
