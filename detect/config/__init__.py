"""Settings of detectors, as frozen dataclasses that check themselves. Imports no torch."""
