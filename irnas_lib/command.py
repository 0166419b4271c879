"""What every command does with what goes wrong: one line on standard error, an exit status, and no traceback."""

import argparse
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator


def one_line(message: object) -> str:
    """A message with everything escaped that would break its line or steer a terminal: a file's name may hold it."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(message))


def exit_status(work: Callable[[], int | None], *expected: type[Exception],
                stopped: str = "stopped; the same command goes on from here") -> int:
    """Does a command's work and returns its exit status. An expected error, a file system's, a ValueError (which each
    of the library's own is) and Ctrl-C are said in one line; a Ctrl-C that has a message of its own says that."""
    try:
        return work() or 0
    except (OSError, ValueError, *expected) as error:
        print(one_line(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        if message := str(interrupt) or stopped:
            print(message, file=sys.stderr)
        return 130


def number(least: int, most: int = 10 ** 9) -> Callable[[str], int]:
    """The argument of an option: an integer of at least `least` and at most `most`."""
    def integer(text: str) -> int:
        if not least <= (value := int(text)) <= most:
            raise argparse.ArgumentTypeError(f"must be {least} to {most:,}")
        return value
    return integer


def minutes(text: str) -> float:
    """The argument of an option: a time of at least 0 and at most a year."""
    value = float(text)
    if not 0 <= value <= 366 * 24 * 60:  # nan neither
        raise ValueError
    return value


@contextlib.contextmanager
def told_to_end() -> Iterator[None]:
    """Within it a closed terminal (unless under nohup) and a plain kill are like Ctrl-C."""
    def interrupt(*_):
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background command ignores it
        signal.raise_signal(signal.SIGINT)
    names = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    usual = {heard: signal.getsignal(heard) for name in names if (heard := getattr(signal, name, None))}
    for heard, handler in usual.items():
        if handler != signal.SIG_IGN:
            signal.signal(heard, interrupt)
    try:
        yield
    finally:
        for heard, handler in usual.items():
            signal.signal(heard, handler)
