"""Groups of subcommands of `mtumail`, one a module. What they work with is imported when one of them runs."""
