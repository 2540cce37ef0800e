// client-http.mjs - an HTTP client whose requests go directly to the backend that the service's gateway names.
//
//   node examples/client-http.mjs URL [PREFIX...]     PREFIX: accepted targets, such as 10.0.0.0/8
//
// The URL's host is the service: an agent asks no other host.
//
// Sends five requests and prints the path of each. The Host header and, with https, the name in the certificate are the URL's.

import { get } from "node:http";
import { RedirectedAgent } from "shunt-client";

const [url = "http://203.0.113.80/", ...targets] = process.argv.slice(2);
const services = [new URL(url).hostname.replace(/^\[|\]$/g, "")];
const agent = new RedirectedAgent({ redirection: targets.length > 0 ? { services, targets } : { services } });

for (let i = 0; i < 5; i++) {
	const began = performance.now();
	const [status, by] = await new Promise((resolve, reject) => {
		get(url, { agent }, (response) => {
			const peer = response.socket.remoteAddress;
			response.resume().on("end", () => resolve([response.statusCode, peer]));
		}).on("error", reject);
	});
	console.log(`${status} by ${by} in ${(performance.now() - began).toFixed(1)} ms`);
	await new Promise((resolve) => setTimeout(resolve, 200));
}
agent.dialer.close();
