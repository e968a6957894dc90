"""The one error of configuration: a single line that says where, what is wrong and what is allowed.

ValueError
└── ConfigError    the config, its token file or a flag cannot be used; the command line prints it and exits with 2
"""


class ConfigError(ValueError):
    """The configuration cannot be used. `str(error)` is one line: `FILE:LINE: key: what is wrong; what is allowed`."""

    def __init__(self, text: str) -> None:
        super().__init__(" ".join(text.split()))
