// program.cjs - a CommonJS program that uses the installed package.

const client = require("shunt-client");
const wire = require("shunt-client/wire");
const exchange = require("./exchange.cjs");

exchange(client, wire).then(async () => {
	const module = await import("shunt-client");
	console.log(`one library: ${module.RedirectionCache === client.RedirectionCache}`);
});
