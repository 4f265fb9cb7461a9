"""The commands that belong to neither half; each is thin: parse, call one function, show."""
