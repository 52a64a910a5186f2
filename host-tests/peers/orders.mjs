// Reads orders from standard input, one JSON object a line, and answers in the same way:
//   {id, order: "listen", setup}         → {id, port}, and when the connection is over {id, [key]}
//   {id, order: "connect", setup, port}  → {id, [key]}
// and {id, fault} where an order could not be carried out. Ends when its input does.

import readline from 'node:readline';

/** Takes orders by `listen(setup, listening, report)` and `connect(setup, port, report)`. */
export function take(listen, connect, key) {
  const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

  // Whoever asked is gone.
  process.stdout.on('error', () => process.exit(0));

  const lines = readline.createInterface({ input: process.stdin });
  lines.on('close', () => process.exit(0));
  lines.on('line', (line) => {
    const { id, order, setup, port } = JSON.parse(line);
    const report = (seen) => say({ id, [key]: seen });
    try {
      if (order === 'listen') listen(setup, (port) => say({ id, port }), report);
      else connect(setup, port, report);
    } catch (error) {
      say({ id, fault: String(error) });
    }
  });
}
