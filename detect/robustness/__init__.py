"""What damage does to a detector: perturbed files, faces found again, cell by cell."""
