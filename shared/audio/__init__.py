"""Sound: features of speech."""
