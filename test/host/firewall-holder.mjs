// firewall-holder.mjs - the process of firewall.test.ts in a network namespace: installs rules and holds them.
//
//   node firewall-holder.mjs <folder of the compiled sources> <rules as JSON> [<further rules as JSON>]
//
// Prints "held" once the first rules are installed, and "replaced" for the others, each after a line on standard input; or
// "refused <code> <why>". Ends when standard input ends.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [, , folder, ...rules] = process.argv;
const { Firewall } = await import(pathToFileURL(`${folder}/host/firewall.js`).href);
// With an undo log the table has no owner: it outlives this process.
const undoLog = process.env.UNDO_LOG ? { record() {}, has: () => true, remove() {} } : undefined;
const firewall = new Firewall("hosttest", (why) => console.log(`lost ${why}`), undoLog);

async function put(text, done) {
	try {
		await firewall.set(JSON.parse(text));
		console.log(done);
	} catch (error) {
		console.log(`refused ${error.code} ${error.message}`);
	}
}

await put(rules.shift(), "held");
for await (const _line of createInterface({ input: process.stdin })) {
	const next = rules.shift();
	if (next !== undefined) await put(next, "replaced");
}
await firewall.close();
console.log("closed");
