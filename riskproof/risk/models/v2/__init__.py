"""The risk models that ship, one canonical document each; `riskproof.risk.model.load_model` reads them."""
