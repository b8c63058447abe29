"""``python -m modalgap``."""

from modalgap.ending import end_with_launcher, guard


def main() -> None:
    """Run the command line. The process ends soon after a signal or after its launcher."""
    guard()
    end_with_launcher()
    from modalgap.cli import main

    main()


if __name__ == "__main__":
    main()
