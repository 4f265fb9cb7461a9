"""``lipsync``: a sound drives the mouth, by way of three parameters of the mouth's shape."""
