pragma circom 2.0.0;

include "position_opening.circom";

// An example main component: a registry of up to 256 instruments; what is disclosed is public.
component main {public [positionsRoot, index, lots, size]} = PositionOpening(8);
