"""`python -m riskproof.cli` is `riskproof`."""

from riskproof.cli import main

if __name__ == "__main__":
    main(prog_name="riskproof")
