"""The commands of ``assay forge``, a file each. Thin: parse, call one function, show; torch is imported inside."""
