"""Parsers with planted bugs, one or more for each mutation, and right parsers that every mutation must leave alone.

They share no code with streamkit. `planting` says what a planted bug is and what must come of it; the modules
`planted_*` hold the bugs, each a few lines that overrule one rule of a right parser; `table` prints how each is caught.
"""
