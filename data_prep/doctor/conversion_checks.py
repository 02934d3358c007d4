"""What a conversion says of itself: pictures without a face, files that failed, and what is missing for that reason."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data_prep.doctor.findings import Finding, judged
from data_prep.doctor.samples import Samples, presentation_of
from flipjax.core import labels
from flipjax.core.errors import DataError
from flipjax.core.schemas import CONVERSION_FILE

Account = Mapping[str, Any]


def read_account(data_dir: Path, domain: str) -> Account | None:
    """Returns what the conversion wrote of itself beside the records, or None where it wrote nothing.

    Raises:
      DataError: it is there and no JSON object.
    """
    path = data_dir / domain / CONVERSION_FILE
    if not path.exists():
        return None
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: not a JSON object ({error}); convert again") from error


def account_findings(domain: str, account: Account | None) -> Iterator[Finding]:
    """Judges what was lost on the way: pictures without a face (failure to acquire) and files that failed."""
    if account is None:
        title = f"{domain}: no {CONVERSION_FILE}: what the conversion left out is not known"
        yield Finding("conversion", "note", title)
        return
    dropped = tuple(str(name) for name in account.get("dropped", ()))
    kept, lost = (_by_class(account.get(key, {})) for key in ("records", "dropped_records"))
    shares = ", ".join(
        f"{name.replace('_', ' ')} {lost[name] / (lost[name] + kept[name]):.2%}"
        for name in labels.CLASS_NAMES
        if lost[name]
    )
    yield judged(
        "conversion",
        "warning",
        dropped,
        bad=f"{domain}: pictures dropped because no face was found",
        good=f"{domain}: the conversion dropped no picture",
        detail=f"failure to acquire: {shares}" if shares else "",
    )
    failures = account.get("failures", ())
    yield judged(
        "conversion",
        "warning",
        (f"{failure['name']}: {failure['reason']}" for failure in failures),
        bad=f"{domain}: files that the conversion could not use",
        good=f"{domain}: the conversion could use every file",
    )


def left_out(account: Account | None, samples: Samples) -> int:
    """Returns how many presentations have no record because no face was found in them or their file failed."""
    if account is None:
        return 0
    gone = {presentation_of(name) for name in account.get("dropped", ())} - set(samples.presentation)
    return len(gone) + len(account.get("failures", ()))


def _by_class(counts: Mapping[str, Mapping[str, int]]) -> Counter[str]:
    return sum((Counter(by_class) for by_class in counts.values()), Counter[str]())
