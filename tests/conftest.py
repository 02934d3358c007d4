"""Every test runs on eight virtual CPU devices, with run-time type checks on and no network."""

import os

# Compilation is most of the time: little optimisation makes the suite twice as fast and changes no tolerance.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    " --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
)
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import jax
import pytest
from absl import flags

jax.config.update("jax_default_matmul_precision", "highest")


@pytest.fixture(scope="session", autouse=True)
def parsed_flags() -> None:
    """Marks absl flags as parsed; grain reads them from its worker code."""
    flags.FLAGS.mark_as_parsed()
