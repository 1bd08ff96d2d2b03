class InputError(ValueError):
    """Something the caller handed over cannot be used: data, a setting, a graph, a file.

    The message names the value and where it stands. The command line prints it
    without a traceback and exits with status 2.
    """
