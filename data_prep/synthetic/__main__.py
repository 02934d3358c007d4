"""Makes simulated presentation-attack data, as a data folder for training and tests that need no licence.

  python -m data_prep.synthetic --out=DIR [--faces=DIR] [--subjects=N] [--frames=N] [--seed=N] [--size=96]
      [--domains=syn_a,syn_b]

Six capture domains, syn_a ... syn_f, each with its own people, cameras, printers, screens and rooms, and the meta-domain
syn_meta, whose splits share no device either. Every person is filmed bona fide (4 videos) and as six of the ten attacks in
turn: prints, replays, paper masks, solid masks; in syn_meta 5 times bona fide and as all ten. Every video gives aligned face
crops of 2 frames. Faces are drawn, or taken from a folder of photographs whose names start with the subject
(001_neutral.jpg shows subject 001). Error rates on these data show that training and evaluation work; they are never
real-world error rates.
"""

import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from absl import flags, logging

from data_prep.synthetic.build import DEFAULT_SIZE, DEFAULT_SUBJECTS, Plan, build
from data_prep.synthetic.captures import DEFAULT_FRAMES
from data_prep.synthetic.sites import DOMAINS
from flipjax.core import command
from flipjax.core.errors import ConfigError
from flipjax.core.schemas import INDEX_FILE, SPLITS

_OUT = flags.DEFINE_string("out", None, "Folder to make; each domain becomes one data set in it (a `data.dir`).")
_FACES = flags.DEFINE_string(
    "faces",
    None,
    "Folder of jpg or png photographs to use instead of drawn faces, one face each; the subject is the file name up to "
    "the first '_'. Needs: pip install 'flipjax[prep]'. Photographs without a face are named and skipped.",
)
_SUBJECTS = flags.DEFINE_integer(
    "subjects",
    None,
    f"People per domain, 3 or more (default {DEFAULT_SUBJECTS}, 20 crops each, 30 in syn_meta); a limit with --faces.",
)
_FRAMES = flags.DEFINE_integer("frames", DEFAULT_FRAMES, "Frames of each presentation, 0.4 s apart, 1 to 32.")
_SEED = flags.DEFINE_integer("seed", 0, "Another seed gives other people, rooms and noise.")
_SIZE = flags.DEFINE_integer("size", DEFAULT_SIZE, "Side of the square crops in pixels.")
_DOMAINS = flags.DEFINE_list("domains", list(DOMAINS), "Domains to make, comma separated; all seven by default.")
_PROCESSES = flags.DEFINE_integer(
    "processes", None, "Processes to use (default: one per core); never changes the data."
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace data made with other arguments.")


def main(argv: Sequence[str]) -> None:
    """Reads the flags, makes the data and says where they are."""
    logging.set_verbosity(logging.WARNING)
    if len(argv) > 1:
        raise ConfigError(f"unexpected argument '{argv[1]}'; this command takes flags only, see --help")
    if not _OUT.value:
        raise ConfigError("--out is missing; name the folder to make, such as --out=data/synthetic")
    plan = Plan(
        domains=tuple(sorted(_DOMAINS.value)),
        subjects=_SUBJECTS.value,
        seed=_SEED.value,
        size=_SIZE.value,
        faces=_FACES.value,
        frames=_FRAMES.value,
    )
    processes = _PROCESSES.value if _PROCESSES.value is not None else default_processes()
    if processes < 1:
        raise ConfigError(f"--processes={processes} leaves nobody to work; use 1 or more")
    out = Path(_OUT.value)
    made = build(plan, out, processes=processes, overwrite=_OVERWRITE.value)
    head = "wrote" if made else "nothing to do, the same arguments were used before:"
    sys.stdout.write(f"{head} {out}\n{count_table(out, plan.domains)}")


def default_processes() -> int:
    """Returns the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count_table(out: Path, domains: Sequence[str]) -> str:
    """Returns a table of crops by domain and split, bona fide + attack."""
    import pyarrow.parquet as pq

    lines = [f"{'domain':<10}{'subjects':>9}" + "".join(f"{name:>14}" for name in SPLITS)]
    for domain in domains:
        index = pq.read_table(out / domain / INDEX_FILE, columns=["split", "is_bona_fide", "subject_id"]).to_pydict()
        counts = Counter(zip(index["split"], index["is_bona_fide"], strict=True))
        cells = "".join(f"{f'{counts[name, True]} + {counts[name, False]}':>14}" for name in SPLITS)
        lines.append(f"{domain:<10}{len(set(index['subject_id'])):>9}{cells}")
    return "\n".join([*lines, "(crops: bona fide + attack)", ""])


if __name__ == "__main__":
    command.run(main)
