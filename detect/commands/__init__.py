"""The commands of ``assay detect``, a file each: parse, call one function, show. Torch is imported inside."""
