"""``python -m modalgap``."""

from modalgap.cli import main

if __name__ == "__main__":
    main()
