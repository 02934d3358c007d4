"""Process-wide settings of JAX, made once before the first device is touched."""

import os
from pathlib import Path

import jax

from flipjax.training.sharding import start_processes


def prepare_backend(compute_dtype: str, coordinator: str = "", num_processes: int = 1, process_id: int = 0) -> None:
    """Joins the run's processes, sets matrix precision and the persistent compilation cache.

    float32 compute means float32 products on every backend; GPUs and TPUs round operands by default otherwise. The cache lies
    in the folder named by JAX_COMPILATION_CACHE_DIR, else in the user's cache folder.
    """
    if num_processes > 1:
        start_processes(coordinator, num_processes, process_id)
    if compute_dtype == "float32":
        jax.config.update("jax_default_matmul_precision", "highest")
    cache_home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(cache_home / "flipjax" / "jax"))
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
