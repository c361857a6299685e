"""Commands, thin. Nothing here imports torch before a command needs it."""
