"""The command `forbear`: every step without a browser. Bad input ends in a sentence, never in a traceback.

Exit codes: 0 done; 1 it could not be done, and why; 2 the question itself was wrong.
The commands themselves are in connector/commands/, a module for each group.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from connector.commands import (
    contact,
    operations,
    plans,
    policy,
    processes,
    record,
    running_plans,
    shell,
    steps,
)


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    from connector import logs

    tells_all = options.verbose or getattr(options, "tells_all", False)  # commands only tell trouble
    logs.configure(logging.INFO if tells_all else logging.ERROR)
    command: shell.Command = options.command
    try:
        return command(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    except Exception as problem:
        explained = _explained(problem)
        if options.verbose or (tells_all and not explained):
            logging.getLogger(__name__).exception("the command ended")
        code, sentence = explained or _unexpected(problem, logged=tells_all)
        print(f"forbear: {sentence}", file=sys.stderr)
        return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="forbear",
        description="Installment plans that customers can keep, written into the books safely.",
    )
    parser.add_argument("--verbose", action="store_true", help="log what happens, to standard error")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    processes.add(commands)
    steps.add(commands)
    policy.add(commands)
    running_plans.add(plans.add(commands))
    contact.add(commands)
    record.add(commands)
    operations.add(commands)
    return parser


def _explained(problem: Exception) -> tuple[int, str] | None:
    """The exit code and the sentence for what may go wrong; None for what nobody expected."""
    from redis import RedisError
    from sqlalchemy.exc import SQLAlchemyError

    from connector.config import WrongSetting
    from connector.mirroring.books_file import WrongBooks
    from connector.planning.plans import EditedMeanwhile, PlanProblem
    from connector.platforms import PlatformError

    if isinstance(problem, shell.Wrong | WrongSetting | WrongBooks | ValueError):
        return 2, str(problem)
    if isinstance(problem, PlanProblem | EditedMeanwhile | PlatformError):
        words = getattr(problem, "words", "")
        return 1, f'{problem} (the ledger says: "{words}")' if words else str(problem)
    if isinstance(problem, LookupError) and problem.args:
        return 1, str(problem.args[0])
    if isinstance(problem, SQLAlchemyError):
        return 1, (
            f"The database cannot be used ({type(problem).__name__}). Check FORBEAR_DATABASE_URL; "
            "`forbear doctor` looks closer."
        )
    if isinstance(problem, RedisError):
        return (
            1,
            f"The queue's server does not answer ({type(problem).__name__}). `forbear doctor` looks closer.",
        )
    if type(problem).__name__ == "DemoFailed" or isinstance(problem, TimeoutError):
        return 1, str(problem)
    return None


def _unexpected(problem: Exception, *, logged: bool) -> tuple[int, str]:
    """A process's standard error is kept, and an error's own words may quote a customer."""
    if logged:
        return 1, f"Something unexpected happened ({type(problem).__name__}). The log shows where."
    return 1, f"Something unexpected happened ({type(problem).__name__}: {problem}). --verbose shows where."


if __name__ == "__main__":
    sys.exit(main())
