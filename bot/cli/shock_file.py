"""What `--shocks` names: the standard script, or a YAML file."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.research.shocks.shock import Shock
    from bot.trials import Trial

STANDARD = "standard"


def read_shocks(named: str, trial: "Trial", seed: int = 1) -> "list[Shock]":
    """Return the shocks of a script for a trial, `standard` or a file; `seed` spreads the standard one.

    Raises: ConfigError, one line with file, line and key; ValueError, one line, when there is not time enough.
    """
    from bot.config.source_text import read_yaml_text
    from bot.config.yaml_tree import read_tree
    from bot.research.shocks.script import ShockError, shocks_of, standard
    from bot.trial_assumptions import sides_of
    from bot.trials import span_ns

    signs = sides_of(trial.config)
    if named == STANDARD:
        specs = [source.spec for source in trial.sources if source.spec.name in signs]
        return standard(specs, signs, *span_ns(trial), seed)
    tree, source = read_tree(read_yaml_text(Path(named), "file of shocks"), named, {}, what="shocks")
    try:
        return shocks_of(tree, signs)
    except ShockError as error:
        raise source.error_at(error.key, str(error)) from None
