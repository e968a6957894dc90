"""The one error of configuration: a single line that says where, what is wrong and what is allowed.

ValueError
└── ConfigError             the config, its token file or a flag cannot be used; printed, and the command exits with 2
    ├── TokenFileMissing    there is no token file yet
    └── TokenFileBusy       another process holds the token file's lock
"""


class ConfigError(ValueError):
    """The configuration cannot be used. `str(error)` is one line: `FILE:LINE: key: what is wrong; what is allowed`."""

    def __init__(self, text: str) -> None:
        super().__init__(" ".join(text.split()))


class TokenFileMissing(ConfigError):
    """There is no token file; `microlev auth login` makes one."""


class TokenFileBusy(ConfigError):
    """Another process is refreshing the token."""
