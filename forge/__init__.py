"""Makes labelled fakes by shared-encoder autoencoder swapping.

Words: the **source** is the identity that is given, the **target** is the video that receives it. A swap decodes
the target's latent with the source's decoder, so the fake wears the source's face and keeps the target's pose,
expression, light, background and sound.
"""
