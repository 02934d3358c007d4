"""Runs a command: flags in, one-line errors out, exit codes that scripts can use.

Exit code 0 is success, 1 an error a person can mend (printed as one line on standard error); commands may return others.
"""

import errno
import logging as std_logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import app, flags, logging

from flipjax.core.errors import ConfigError, FlipjaxError

ROOT = str(Path(__file__).resolve().parents[2])
OURS = tuple(f"{ROOT}/{package}/" for package in ("flipjax", "data_prep", "launch", "configs"))


def _parse_flags(argv: Sequence[str]) -> list[str]:
    try:
        return flags.FLAGS(list(argv))
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError, FlipjaxError) as error:
        print_error(error)
        sys.exit(1)


def print_error(error: BaseException) -> None:
    """Writes `error` as one line on standard error, after a blank that ends any progress line."""
    text = " ".join(str(error).split()) or type(error).__name__
    sys.stderr.write(f"error: {text}\n")


def _speak_plainly() -> None:
    """Logs our own lines from INFO on with the time in front, and only warnings of the libraries below."""
    handler = logging.get_absl_handler()
    handler.addFilter(lambda record: record.levelno >= std_logging.WARNING or record.pathname.startswith(OURS))
    handler.setFormatter(std_logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.set_verbosity(logging.INFO)


def _is_disk_full(error: BaseException | None) -> bool:
    while error is not None:
        text = str(error).lower()
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or "no space left" in text:
            return True
        error = error.__cause__ or error.__context__
    return False


def run(main: Callable[[list[str]], int | None]) -> None:
    """Parses absl flags, runs `main(argv)` and exits with its code.

    A FlipjaxError or a full disk becomes one line and exit code 1; any other exception keeps its traceback.
    """

    def guarded(argv: list[str]) -> int | None:
        _speak_plainly()
        try:
            return main(argv)
        except FlipjaxError as error:
            print_error(error)
            return 1
        except Exception as error:
            if not _is_disk_full(error):
                raise
            print_error(ConfigError(f"the disk is full ({error}); free space and run the same command again to resume"))
            return 1

    app.run(guarded, flags_parser=_parse_flags)
