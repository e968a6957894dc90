"""Configuration: one YAML file to a typed, checked, immutable `Config`."""

from bot.config.errors import ConfigError
from bot.config.loading import load_config, load_place, load_preset, parse_config
from bot.config.model import Config
from bot.config.rules import check_live, check_supported, check_together
from bot.config.secrets import ClientSecrets, Token, client_secrets, load_token, redacted
from bot.config.sizing_rules import SizingRules
from bot.config.state_folder import state_directory

__all__ = [
    "ClientSecrets",
    "Config",
    "ConfigError",
    "SizingRules",
    "Token",
    "check_live",
    "check_supported",
    "check_together",
    "client_secrets",
    "load_config",
    "load_place",
    "load_preset",
    "load_token",
    "parse_config",
    "redacted",
    "state_directory",
]
