"""Values that results are written in: scores, scoreboards and measured quality."""
