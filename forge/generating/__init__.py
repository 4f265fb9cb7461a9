"""New faces of nobody: generators by family, their training, certificates, and stills that are marked and signed."""
