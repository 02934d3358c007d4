"""Speed of data preparation and input beside the same work in a plain PyTorch DataLoader, in one run, taking turns.

    python tests/benchmarks/data_pipeline.py --work=read [--augment=none|flip|instruct_flip] [--records=1024] [--rounds=5]
    python tests/benchmarks/data_pipeline.py --work=align [--pictures=256] [--face=PORTRAIT.jpg]

`read`: 224 px PNG crops to training batches of 24 with plain views: our records through grain with two read threads; a
DataLoader with two workers over the same PNG bytes in files, decoded by Pillow, with the same views; and bare PNG decoding
by Pillow in two threads. `align`: pictures of 1280x720 to aligned crops, start-up included: our process pool with two
workers into its cache; a DataLoader with two workers that decodes, aligns and encodes alike. Every side does the whole
work once before the first round.

Prints one JSON line: images/s of each side (median, and smallest and largest of the rounds) and the ratios round by round.
Needs torch; says so and gives no number where the machine is busy.
"""

import io
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from absl import flags
from PIL import Image

from data_prep import stage
from data_prep.cache import CropCache
from data_prep.crops import encode
from data_prep.datasets import own
from data_prep.recipes import CropOptions
from data_prep.records import write_domain
from flipjax.core import command
from flipjax.core.errors import ConfigError
from flipjax.core.rng import host_stream
from flipjax.data import align, media, pipeline, sampling, source, transforms

BATCH, SIZE_PX, WORKERS, SEED = 24, 224, 2, 0
BUSY_SHARE = 0.3
Side = Callable[[], int]


def main(argv: list[str]) -> None:
    """Measures one kind of work and prints the result."""
    command.refuse_arguments(argv)
    given = flags.FLAGS
    require_idle(given.ignore_load)
    with tempfile.TemporaryDirectory() as folder:
        if given.work == "read":
            sides = read_sides(Path(folder), given.records, given.augment)
            against = ("dataloader", "bare_png")
        else:
            sides = align_sides(Path(folder), given.pictures, given.face)
            against = ("dataloader",)
        line = {"benchmark": f"data_{given.work}", "augment": given.augment, **measure(sides, against, given.rounds)}
    sys.stdout.write(json.dumps(line) + "\n")


def require_idle(ignore: bool) -> None:
    """Raises ConfigError where other work would share the cores."""
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    if busy > BUSY_SHARE and not ignore:
        raise ConfigError(f"machine too busy (load {busy:.2f} a core, at most {BUSY_SHARE}); wait, or --ignore_load")


def measure(sides: dict[str, Side], against: Iterable[str], rounds: int) -> dict[str, Any]:
    """Runs every side once to warm up, then `rounds` times in turn; a side returns how many images it made."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, side in sides.items():
            started = time.perf_counter()
            count = side()
            if number:
                rates[name].append(count / (time.perf_counter() - started))
    ratios = {f"ours_to_{name}": [a / b for a, b in zip(rates["ours"], rates[name], strict=True)] for name in against}
    return {name: _spread(values) for name, values in {**rates, **ratios}.items()}


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3)}


def read_sides(folder: Path, count: int, augment: str) -> dict[str, Side]:
    """Returns the sides of `--work=read`; a pass over `count` records is one unit of work."""
    pictures = [encode(_picture(number), "png") for number in range(count)]
    for number, data in enumerate(pictures):
        (folder / f"{number}.png").write_bytes(data)
    write_domain(folder / "data", "syn_a", {"train": [_record(i, data) for i, data in enumerate(pictures)]})
    index = source.read_index(folder / "data", "syn_a")
    records = source.Records(folder / "data", index)
    sampler = sampling.balanced(index, batch_size=BATCH, seed=SEED)
    steps = count // BATCH

    def ours() -> int:
        batches = pipeline.train_batches(
            records, sampler, seed=SEED, start_step=0, steps=steps, inputs=(), image_size=SIZE_PX, augment=augment,
            threads=WORKERS,
        )  # fmt: skip
        return sum(len(batch["image"]) for batch in batches)

    def bare() -> int:
        with ThreadPoolExecutor(WORKERS) as pool:
            return len(list(pool.map(_decoded, pictures)))

    loader = _loader(_Crops(folder, count, augment), BATCH)
    return {"ours": ours, "dataloader": lambda: sum(len(batch["image"]) for batch in loader), "bare_png": bare}


def align_sides(folder: Path, count: int, face: str) -> dict[str, Side]:
    """Returns the sides of `--work=align`; cropping `count` pictures anew is one unit of work.

    OpenCV keeps to one thread here: workers that are forked from a process with its threads would wait for them for ever.
    """
    cv2.setNumThreads(0)
    rows = ["path,label"]
    for number in range(count):
        Image.fromarray(_scene(number, face)).save(folder / f"{number}.jpg", quality=90)
        rows.append(f"{number}.jpg,bona_fide")
    (folder / "own.csv").write_text("\n".join(rows))
    entries = own.read(folder / "own.csv").entries
    options = CropOptions()

    def ours() -> int:
        shutil.rmtree(folder / "cache", ignore_errors=True)
        cache = CropCache(folder / "cache", options)
        return len(stage.crop_all("own", cache, entries, processes=WORKERS, max_failures=1.0))

    loader = _loader(_Scenes(folder, count), None)
    return {"ours": ours, "dataloader": lambda: sum(1 for _ in loader)}


def _loader(dataset: Any, batch_size: int | None) -> Any:
    import torch.utils.data

    return torch.utils.data.DataLoader(dataset, batch_size=batch_size, num_workers=WORKERS, drop_last=bool(batch_size))


class _Crops:
    """The map-style data set that a PyTorch user would write for crops in files."""

    def __init__(self, folder: Path, count: int, augment: str) -> None:
        self.folder, self.count, self.views = folder, count, transforms.TrainViews(SIZE_PX, augment)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> dict[str, Any]:
        image = _decoded((self.folder / f"{number}.png").read_bytes())
        views = self.views(image, host_stream("augment", SEED, 0, number))
        return {"image": np.ascontiguousarray(views["image"]), "is_bona_fide": number % 2}


class _Scenes:
    """The map-style data set that cuts faces out of pictures and stores them."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> int:
        crops = align.align(media.load_image(self.folder / f"{number}.jpg"))
        for crop in crops[:1]:
            (self.folder / f"{number}.out.png").write_bytes(encode(crop.image, "png"))
        return len(crops)


def _decoded(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def _picture(number: int) -> np.ndarray:
    """A crop of about the file size of a face: smooth shapes and a little noise."""
    rng = np.random.default_rng(number)
    smooth = cv2.GaussianBlur(rng.normal(0, 240, (SIZE_PX, SIZE_PX, 3)), (0, 0), 3)
    return np.clip(128 + smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


def _record(number: int, data: bytes) -> dict[str, Any]:
    name = f"p{number}"
    return {
        "image": data,
        "box": (0.0,) * 4,
        "landmarks": (0.0,) * 10,
        "is_bona_fide": bool(number % 2),
        "sample_id": name,
        "subject_id": name,
        "video_id": name,
    }


def _scene(number: int, face: str) -> np.ndarray:
    """A picture of 1280x720 with the portrait at a place of its own; noise alone where none is given."""
    rng = np.random.default_rng(number)
    picture = cv2.resize(rng.integers(60, 200, (72, 128, 3), np.uint8), (1280, 720), interpolation=cv2.INTER_CUBIC)
    if face:
        portrait = media.load_image(Path(face))
        side = int(rng.integers(360, 640))
        x, y = int(rng.integers(0, 1280 - side)), int(rng.integers(0, 720 - side))
        picture[y : y + side, x : x + side] = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(picture, np.uint8)


if __name__ == "__main__":
    flags.DEFINE_enum("work", "read", ["read", "align"], "what is measured")
    flags.DEFINE_enum("augment", "none", transforms.AUGMENTS, "views of --work=read")
    flags.DEFINE_integer("records", 1008, "records of --work=read", lower_bound=BATCH)
    flags.DEFINE_integer("pictures", 256, "pictures of --work=align", lower_bound=1)
    flags.DEFINE_string("face", "", "a portrait to put into the pictures of --work=align")
    flags.DEFINE_integer("rounds", 5, "rounds that count", lower_bound=1)
    flags.DEFINE_bool("ignore_load", False, "measure on a busy machine all the same")
    command.run(main)
