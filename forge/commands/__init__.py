"""The commands of ``assay forge``, a file each: parse, call one function, show. Torch is imported inside."""
