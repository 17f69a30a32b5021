"""The command `dlmon`, and `python -m dlmon`."""

import signal


def main() -> None:
    """Run the command."""
    # While it is loaded, Ctrl-C ends the process, instead of raising KeyboardInterrupt somewhere.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    from dlmon.cli import main as run

    run()


if __name__ == "__main__":
    main()
