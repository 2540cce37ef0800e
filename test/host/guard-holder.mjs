// guard-holder.mjs - the side of guard.test.ts that lives in a network namespace: puts a guard in force and holds it.
//
//   node guard-holder.mjs <folder of the compiled sources> <rules as JSON> [<further rules as JSON>]
//
// Says "held" once the first rules are in force, and "replaced" for the others, each after a line on standard input; or
// "refused <code> <why>". It ends when standard input does.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [, , folder, ...rules] = process.argv;
const { Guard } = await import(pathToFileURL(`${folder}/gateway/guard.js`).href);
const guard = new Guard("hosttest", (why) => console.log(`lost ${why}`));

async function put(text, done) {
	try {
		await guard.set(JSON.parse(text));
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
await guard.close();
console.log("closed");
