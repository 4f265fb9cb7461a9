"""Commands that belong to neither ``forge`` nor ``detect``, a file each: parse, call one function, show."""
