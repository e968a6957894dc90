"""An examination of an account and its venue: what the bot relies on, checked; what nobody documents, measured."""
