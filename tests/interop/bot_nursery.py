"""Starts `microlev` as often as asked, each time as a process of its own that has everything loaded already.

How it works: it imports and compiles once, and forks for each line on its standard input, a JSON object with the
`arguments` of the command, and the paths `out` (a fifo) and `err`. It answers with the child's process id, and with its
exit status once it has ended, negative for a signal. So a life costs a second and not five.
"""

import json
import os
import sys
import traceback
from pathlib import Path


def live(arguments: list[str], out: str, err: str) -> int:
    """Run the command in this process, as its console script does."""
    from bot.cli.main import main

    sys.stdout.flush()
    os.dup2(os.open(out, os.O_WRONLY), 1)
    os.dup2(os.open(err, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        return main(arguments)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def prepare(config: Path) -> None:
    """Import and compile all that a run of this config needs, the reactor aside."""
    import bot.net.client
    import bot.net.driver
    import bot.net.oauth  # noqa: F401
    from bot.app import warm_up
    from bot.assembly import engine_settings
    from bot.config import load_config

    warm_up(engine_settings(load_config(config, os.environ), "rehearsal"))


def tell(number: int) -> None:
    """Write a number to whoever asked."""
    os.write(1, f"{number}\n".encode())


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
    tell(0)
    for text in sys.stdin:
        asked = json.loads(text)
        child = os.fork()
        if child == 0:
            os._exit(live(asked["arguments"], asked["out"], asked["err"]))
        tell(child)
        tell(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
