"""Risk: the pricing kernel, risk arrays, risk models and margin. Import the modules; this package imports nothing."""
