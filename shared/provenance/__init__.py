"""Signed provenance (C2PA): signing identities, signing, reading manifests, and trust."""
