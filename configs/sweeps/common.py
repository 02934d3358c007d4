"""What the sweeps of the papers' tables share: every row x protocol x seed as one run, and the argument behind the file name.

Comma separated: `tiny` (tiny configs, embedded data, one seed), `profile=default|released|paper`, `seeds=N`. Without: the
sizes of the papers, five seeds, and profile `released`, because the printed figures come from the released code.

    python launch/sweep.py --sweep=configs/sweeps/flip_table2.py:tiny,seeds=3 --out=runs/flip_table2
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

SYNTHETIC_DATA = "runs/data/synthetic"
SEEDS = 5  # FLIP, captions of Tables 2 to 4; InstructFLIP, section 4.1 (its release has 3)
# Protocol of the paper -> its stand-in on embedded data.
MCIO = {
    "oci_to_m": "syn_bcd_to_a",
    "omi_to_c": "syn_acd_to_b",
    "ocm_to_i": "syn_abd_to_c",
    "icm_to_o": "syn_abc_to_d",
}
META = {"ca_to_all": "syn_meta_to_all"}


class Variant(NamedTuple):
    """A row of a table: config file without ending, overrides, and those that a tiny run leaves out."""

    config: str
    overrides: Mapping[str, Any] = {}
    full_size: Mapping[str, Any] = {}


FLIP_SYSTEMS = {name: Variant(name) for name in ("flip_v", "flip_it", "flip_mcl")}


def table_runs(rows: Mapping[str, Variant], protocols: Mapping[str, str], arg: str | None) -> list[dict[str, Any]]:
    """Returns the runs of a table: name, row, config file with argument, overrides.

    Args:
      rows: id of a row in the paper's table -> what makes it.
      protocols: protocol of the paper -> its tiny stand-in.
      arg: as the module says; None for the full table.

    Raises:
      ValueError: an argument of no known form.
    """
    tiny, profile, seeds = _parse(arg)
    words = ["tiny"] * tiny + [f"profile={profile}"] * bool(profile)
    runs = []
    for row, variant in rows.items():
        for published, stand_in in protocols.items():
            protocol = stand_in if tiny else published
            extra = {"data.dir": SYNTHETIC_DATA} if tiny else variant.full_size
            for seed in range(seeds):
                runs.append(
                    {
                        "name": f"{row}_{protocol}_seed{seed}",
                        "row": row,
                        "config": ":".join([f"configs/{variant.config}.py", ",".join(words)]).rstrip(":"),
                        "overrides": {**variant.overrides, **extra, "protocol": protocol, "seed": seed},
                    }
                )
    return runs


def is_tiny(arg: str | None) -> bool:
    """Whether `arg` asks for tiny runs."""
    return _parse(arg)[0]


def instruct_flip_rows(runs: Iterable[Mapping[str, Any]]) -> dict[str, Variant]:
    """Returns a row per run of one of InstructFLIP's ablation sweeps, by the run's name."""
    return {run["name"]: Variant("instruct_flip", run["overrides"]) for run in runs}


def _parse(arg: str | None) -> tuple[bool, str, int]:
    """Returns tiny or not, the profile ("" for the config's own), and the number of seeds."""
    words = [word for word in (arg or "").split(",") if word]
    tiny = "tiny" in words
    profile, seeds = ("", 1) if tiny else ("released", SEEDS)
    for word in words:
        name, _, value = word.partition("=")
        if name == "profile" and value in ("default", "released", "paper"):
            profile = value
        elif name == "seeds" and value.isdigit() and int(value):
            seeds = int(value)
        elif word != "tiny":
            raise ValueError(
                f"sweep argument '{word}' unknown; expected tiny, profile=default|released|paper or seeds=N"
            )
    return tiny, profile, seeds
