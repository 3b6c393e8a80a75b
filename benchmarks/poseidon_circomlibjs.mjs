// Poseidon of circomlibjs (WASM), for comparison. `bench SECONDS` prints hashes per second of two inputs; `hash` reads JSON lists of
// decimal strings from standard input, one a line, and prints their hashes.
import { buildPoseidon } from "circomlibjs";
import { createInterface } from "node:readline";

const poseidon = await buildPoseidon();
const field = poseidon.F;
const [mode, argument] = process.argv.slice(2);
if (mode === "bench") {
  const inputs = [field.e(1n), field.e(2n)]; // converted once, so that only the hash is timed
  for (let i = 0; i < 2000; i++) inputs[0] = poseidon(inputs);
  const end = performance.now() + Number(argument) * 1000;
  const start = performance.now();
  let count = 0;
  while (performance.now() < end) {
    for (let i = 0; i < 500; i++) inputs[0] = poseidon(inputs);
    count += 500;
  }
  console.log(Math.round((count * 1000) / (performance.now() - start)));
} else {
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(field.toString(poseidon(JSON.parse(line).map((x) => field.e(x)))));
  }
}
process.exit(0);
