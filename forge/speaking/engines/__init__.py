"""The engines, one module each. Importing this package registers all of them."""

from forge.speaking.engines import espeak, festival, flite, hibari, piper

__all__ = ["espeak", "festival", "flite", "hibari", "piper"]
