"""Checkpoints of state and config together (orbax, asynchronous) that keep both the newest and the best.

Best = smallest selection value, the later one at a tie (FLIP's rule). A checkpoint appears only when it is complete:
a killed or failed save leaves a temporary folder that is ignored and replaced.
"""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from absl import logging
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from flipjax.core.errors import CheckpointError
from flipjax.core.method import Tree

UNREAD = ocp.PLACEHOLDER


def _rank(metrics: dict[str, Any]) -> Any:
    value = metrics["selection"]
    return (-math.inf if value is None else -value), metrics["step"]


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one workdir; steps count finished updates."""

    folder: Path
    manager: ocp.CheckpointManager

    def save(self, step: int, state: Tree, config: dict[str, Any], selection: float | None) -> None:
        """Starts saving `state` and `config`; `selection` is the value of an evaluation at this step, if there was one.

        Raises:
          CheckpointError: this save or the one before it failed, such as on a full disk.
        """
        metrics = {"selection": selection, "step": step}
        args = ocp.args.Composite(state=ocp.args.StandardSave(state), config=ocp.args.JsonSave(config))
        with self._explained(f"step {step} could not be saved"):
            self.manager.save(step, args=args, metrics=metrics)

    def wait(self) -> None:
        """Returns when every save has finished.

        Raises:
          CheckpointError: a save failed.
        """
        with self._explained("the last save did not finish"):
            self.manager.wait_until_finished()
            self.manager.check_for_errors()

    def close(self) -> None:
        """Finishes and lets go of the folder; a failed save, which `save` or `wait` reports, is only logged here."""
        try:
            self.manager.close()
        except Exception as error:
            logging.warning("%s: closed after a failed save (%s)", self.folder, type(error).__name__)

    def latest(self) -> int | None:
        """Returns the newest finished step, None before the first."""
        return self.manager.latest_step()

    def best(self) -> int | None:
        """Returns the step with the smallest selection value, the latest of equals; None before the first evaluation."""
        ranked = [(_rank(metrics), step) for step, metrics in self._measured()]
        return max(ranked)[1] if ranked else None

    def selection(self, step: int) -> float:
        """Returns the selection value measured at `step`, which must be one that `best` returned."""
        return dict(self._measured())[step]["selection"]

    def resolve(self, name: str) -> int:
        """Returns the step meant by "best", "last" or a number.

        Raises:
          CheckpointError: no such checkpoint; the message lists those that exist.
        """
        steps = sorted(self.manager.all_steps())
        found = self.latest() if name == "last" else self.best() if name == "best" else None
        if name == "best" and found is None:
            found = self.latest()
        if found is None and name.isdecimal():
            found = int(name)
        if found is None or found not in steps:
            there = ", ".join(map(str, steps)) or "none; train first"
            raise CheckpointError(f"checkpoint '{name}' is not in '{self.folder}' (steps there: {there})")
        return found

    def restore(self, step: int, like: Tree) -> Tree:
        """Returns the state saved at `step`, placed and typed as `like` (arrays or shapes with shardings).

        Leaves of `like` that are `UNREAD` stay in the file and stay `UNREAD`.

        Raises:
          CheckpointError: the checkpoint is damaged or belongs to another model.
        """
        with self._explained(f"step {step} cannot be read"):
            if UNREAD in jax.tree.leaves(like):
                how = ocp.checkpoint_utils.construct_restore_args(like)
                args: Any = ocp.args.PyTreeRestore(like, restore_args=how)
            else:
                args = ocp.args.StandardRestore(like)
            return self.manager.restore(step, args=ocp.args.Composite(state=args))["state"]

    def _measured(self) -> list[tuple[int, dict[str, Any]]]:
        pairs = [(step, self.manager.metrics(step)) for step in self.manager.all_steps()]
        return [(step, metrics) for step, metrics in pairs if metrics and metrics["selection"] is not None]

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            self.manager.reload()  # forgets a step whose save has only begun
            raise CheckpointError(
                f"checkpoint in '{self.folder}': {what} ({reason}); mend the cause, such as a full disk, and run the same "
                f"command again: it goes on from step {self.latest() or 0}"
            ) from error


def open_checkpoints(folder: Path) -> Checkpoints:
    """Opens the checkpoints below `folder`, which is made if missing."""
    keep = AnyPreservationPolicy([LatestN(1), BestN(get_metric_fn=_rank, n=1, keep_checkpoints_without_metrics=False)])
    options = ocp.CheckpointManagerOptions(
        best_fn=_rank,  # without it orbax writes no metrics, whatever the policy asks for
        preservation_policy=keep,
        enable_async_checkpointing=True,
        cleanup_tmp_directories=True,
    )
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return Checkpoints(folder, ocp.CheckpointManager(folder, options=options))


def abstract_like(tree: Tree, shardings: Tree) -> Tree:
    """Returns shapes and types of `tree` with the given placement, for `restore`."""
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree, shardings
    )
