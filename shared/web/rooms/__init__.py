"""The rooms of the page: cases, runs, sets and faces. Each works from files and from commands in child processes."""
