"""A run tested on a domain that it trains on as well: the mean, the report and later evaluations leave that one out."""

from pathlib import Path

import jax.numpy as jnp
import pytest
from tiny_runs import shrink, write_data

from configs.flip_v import get_config
from flipjax.experiment import assemble, inference, run
from flipjax.training.checkpoints import open_checkpoints

NOTE = "The mean over targets leaves out syn_b, on which the model was trained."


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, Path, dict]:
    """Data, workdir and metrics of a run that ends where it starts."""
    folder = tmp_path_factory.mktemp("left_out")
    config = shrink(get_config("tiny,syn_b_to_ab"))
    config.data.dir = str(write_data(folder / "data"))
    config.eval.batch_size, config.train.steps, config.log.pictures = 16, 3, 0
    started = run.start(config, folder / "run")
    checkpoints = open_checkpoints(folder / "run" / "checkpoints")
    state = assemble.initial_state(config, started.method, started.mesh)
    checkpoints.save(3, state.replace(step=jnp.int32(3)), {}, None)
    checkpoints.wait()
    checkpoints.close()
    return folder / "data", folder / "run", run.train_and_report(config, folder / "run", overrides={}, config_file="")


def test_mean_and_report_leave_out_the_target_that_trains(finished):
    _, workdir, metrics = finished
    assert set(metrics["targets"]) == {"syn_a", "syn_b"} and metrics["left_out_of_mean"] == ["syn_b"]
    assert metrics["mean"]["hter"] == metrics["targets"]["syn_a"]["hter"]
    assert NOTE in (workdir / "report.html").read_text()


def test_later_evaluations_leave_out_what_the_run_trained_on(finished):
    data, workdir, metrics = finished

    def evaluated(protocol: str = "", records: str = "") -> tuple[dict, str]:
        found, folder = inference.evaluate_workdir(
            workdir, protocol=protocol, records=records, checkpoint="best", data_dir=""
        )
        return found, (folder / "report.html").read_text()

    again, page = evaluated()
    assert again["mean"] == metrics["mean"] and NOTE in page
    whole, page = evaluated(records=str(data))
    assert whole["left_out_of_mean"] == ["syn_b"] and len(whole["targets"]) == 4 and NOTE in page
    other, page = evaluated(protocol="syn_b_to_cd")
    assert "left_out_of_mean" not in other and "leaves out" not in page
