"""Generated from proto/riskproof/v1 by `python -m tools.generate_protos`: do not edit."""
