"""How far each manipulation of a dataset moves statistics of real faces, and whether all move them one way."""
