pragma circom 2.0.0;

include "circomlib/circuits/bitify.circom";
include "circomlib/circuits/comparators.circom";
include "circomlib/circuits/poseidon.circom";

// Opens one position of riskproof's position tree (docs/commitments.md) inside a circuit.
//
//     leaf           = Poseidon3(index, lots, salt)
//     node           = Poseidon2(left, right), left and right by the bits of index
//     positionsRoot  = Poseidon4(tree root, 2^depth, size, rootSalt)
//
// and checks that lots is an int64 (lots >= 0 as itself, below zero as p - |lots|) and that index < size.
// All signals are field elements of BN254; which of them are public is the main component's choice.
template PositionOpening(depth) {
    signal input positionsRoot;
    signal input index;
    signal input lots;
    signal input salt;
    signal input siblings[depth]; // from the leaf's level up
    signal input size;
    signal input rootSalt;

    // 0 <= index < size <= 2^depth
    component indexBits = Num2Bits(depth);
    indexBits.in <== index;
    component sizeBits = Num2Bits(depth + 1);
    sizeBits.in <== size;
    component inside = LessThan(depth + 1);
    inside.in[0] <== index;
    inside.in[1] <== size;
    inside.out === 1;
    component fits = LessEqThan(depth + 1);
    fits.in[0] <== size;
    fits.in[1] <== 2 ** depth;
    fits.out === 1;

    // -2^63 <= lots < 2^63
    component lotsBits = Num2Bits(64);
    lotsBits.in <== lots + 2 ** 63;

    component leaf = Poseidon(3);
    leaf.inputs[0] <== index;
    leaf.inputs[1] <== lots;
    leaf.inputs[2] <== salt;

    component node[depth];
    signal path[depth + 1];
    signal left[depth];
    path[0] <== leaf.out;
    for (var level = 0; level < depth; level++) {
        node[level] = Poseidon(2);
        // bit 0: the path is on the left
        left[level] <== path[level] + indexBits.out[level] * (siblings[level] - path[level]);
        node[level].inputs[0] <== left[level];
        node[level].inputs[1] <== path[level] + siblings[level] - left[level];
        path[level + 1] <== node[level].out;
    }

    component root = Poseidon(4);
    root.inputs[0] <== path[depth];
    root.inputs[1] <== 2 ** depth;
    root.inputs[2] <== size;
    root.inputs[3] <== rootSalt;
    positionsRoot === root.out;
}
