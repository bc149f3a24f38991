"""The verbs of `shed`: one module each, with `HELP`, `add_arguments(parser)` and a function named like the verb."""
