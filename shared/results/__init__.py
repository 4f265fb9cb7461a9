"""Result values: scores, scoreboards and measured quality."""
