"""Runs a command: flags in, one-line errors out, exit codes that scripts can use.

Exit code 0 is success, 1 an error a person can mend (printed as one line on standard error); commands may return others.
"""

import errno
import logging as std_logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import app, flags, logging

from flipjax.core.errors import ConfigError, FlipjaxError

ROOT = str(Path(__file__).resolve().parents[2])
OURS = tuple(f"{ROOT}/{package}/" for package in ("flipjax", "data_prep", "launch", "configs"))


def _parse_flags(argv: Sequence[str], prepare: Callable[[list[str]], list[str]]) -> list[str]:
    try:
        return flags.FLAGS(prepare(list(argv)))
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError, FlipjaxError) as error:
        # The error of a config file arrives as the text of a traceback, whose last line says what is wrong.
        last_line = str(error).strip().splitlines()[-1].removeprefix("ValueError: ")
        print_error(_unknown_key(str(error), argv) or ConfigError(last_line))
        sys.exit(1)


def _unknown_key(text: str, argv: Sequence[str]) -> ConfigError | None:
    """Returns the error of a config key that does not exist, with its whole path; ml_collections names only the last part."""
    part, near = re.search(r"\w+", text), re.search(r'Did you mean "(\w+)"', text)
    given = (re.fullmatch(r"--?config\.([\w.]+)(=.*)?", word, re.DOTALL) for word in argv)
    paths = [match[1].split(".") for match in given if match]
    path = next((path for path in paths if part and part[0] in path), None)
    if part is None or path is None:
        return None
    if near is None:
        return ConfigError(f"config key '{'.'.join(path)}' does not exist; the config file lists those that do")
    better = ".".join(near[1] if name == part[0] else name for name in path)
    return ConfigError(f"config key '{'.'.join(path)}' does not exist; did you mean '{better}'?")


def print_error(error: BaseException) -> None:
    """Writes `error` as one line on standard error, after a blank that ends any progress line."""
    text = " ".join(str(error).split()) or type(error).__name__
    sys.stderr.write(f"error: {text}\n")


def _speak_plainly() -> None:
    """Logs our own lines from INFO on with the time in front, and only warnings of the libraries below.

    What a library logs with a traceback it raises as well, or says about a thread that fails after the fact.
    """

    def is_wanted(record: std_logging.LogRecord) -> bool:
        return record.pathname.startswith(OURS) or (record.levelno >= std_logging.WARNING and not record.exc_info)

    handler = logging.get_absl_handler()
    handler.addFilter(is_wanted)
    threading.excepthook = _end_with_thread
    sys.unraisablehook = _report_main_thread_only
    handler.setFormatter(std_logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.set_verbosity(logging.INFO)


def _end_with_thread(failure: Any) -> None:
    """Ends the process when one of its threads met a full disk, since others would wait for that thread for ever."""
    explained = _explained(failure.exc_value)
    if explained is None:
        logging.warning("%s: %s", failure.exc_type.__name__, failure.exc_value)
        return
    print_error(explained)
    sys.stderr.flush()
    os._exit(1)


def _report_main_thread_only(failure: Any) -> None:
    """Drops the tracebacks that callbacks of native threads print by the hundred when a save fails; the save raises too."""
    if threading.current_thread() is threading.main_thread():
        sys.__unraisablehook__(failure)


def _say_nothing_more() -> None:
    """Keeps background threads and exit handlers that fail for the same reason from burying the error line."""
    std_logging.disable()
    warnings.simplefilter("ignore")
    threading.excepthook = lambda _: None
    sys.unraisablehook = lambda _: None


def _explained(error: BaseException) -> FlipjaxError | None:
    """Returns the error as one that a person can mend; None where it is a mistake of ours, which keeps its traceback."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None:
        chain.append(link)
        link = link.__cause__ or link.__context__
    if isinstance(error, FlipjaxError) or not any(map(_says_disk_full, chain)):
        return error if isinstance(error, FlipjaxError) else None
    named = next((link for link in chain if isinstance(link, FlipjaxError)), None)
    folder = next((flags.FLAGS[name].value for name in ("workdir", "out") if name in flags.FLAGS), "")
    return named or ConfigError(
        f"the disk of '{folder}' is full ({error}); free space and run the same command again to resume"
    )


def _says_disk_full(error: BaseException) -> bool:
    code = getattr(error, "errno", None)
    return code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or "no space left" in str(error).lower()


def refuse_arguments(argv: Sequence[str]) -> None:
    """Ends a command that takes flags alone.

    Raises:
      ConfigError: a word that is no flag.
    """
    if len(argv) > 1:
        raise ConfigError(f"unexpected argument '{argv[1]}'; everything is given as --name=value")


def run(
    main: Callable[[list[str]], int | None], *, prepare: Callable[[list[str]], list[str]] = lambda argv: argv
) -> None:
    """Parses absl flags from `prepare(argv)`, runs `main(argv)` and exits with its code.

    A FlipjaxError or a full disk becomes one line and exit code 1; any other exception keeps its traceback.
    """

    def guarded(argv: list[str]) -> int | None:
        _speak_plainly()
        try:
            return main(argv)
        except Exception as error:
            explained = _explained(error)
            if explained is None:
                raise
            print_error(explained)
            _say_nothing_more()
            return 1

    app.run(guarded, flags_parser=lambda argv: _parse_flags(argv, prepare))
