"""The subcommands of `headrace`, a module each: `HELP`, `EPILOG`, `arguments()` and `run()`."""
