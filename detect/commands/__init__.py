"""The commands of ``assay detect``, a file each. Thin: parse, call one function, show; torch is imported inside."""
