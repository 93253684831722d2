"""The command. One file per subcommand, loaded when it is chosen."""
