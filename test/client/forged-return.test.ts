// forged-return.test.ts - a datagram that claims to be a returned one (X), from a sender that has not seen the query.

import { createSocket as createDgram } from "node:dgram";
import { once } from "node:events";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createSocket, type RedirectedSocket, RedirectionCache } from "../../src/client/index.js";
import { encodeControl, encodeHeader, FLAG, parseAddress } from "../../src/wire/index.js";
import { ipv4, udp } from "../wire/pcap.js";
import { Peer, SERVICE, TARGETS } from "./peer.js";

let peer: Peer;
let socket: RedirectedSocket;
beforeEach(async () => {
	peer = await Peer.start();
	socket = createSocket({
		type: "udp4",
		redirection: { controlPort: peer.controlPort, targets: TARGETS, cache: new RedirectionCache() },
	});
});
afterEach(() => {
	socket.close();
	peer.close();
});

test("R20 R22: a forged return with a made-up nonce does not make the client send anything", async () => {
	const bound = once(socket, "redirect");
	socket.send("one", peer.port, SERVICE);
	await bound;
	const heard: string[] = [];
	socket.on("message", (message) => heard.push(String(message)));
	const header = peer.redirect(
		{ flags: FLAG.redirect | FLAG.leased | FLAG.packet, nonce: 4711n },
		{ protocol: 17, port: peer.port, address: parseAddress(SERVICE) as Uint8Array },
	);
	const about = { protocol: 17, port: peer.port, address: parseAddress(SERVICE) as Uint8Array };
	const inner = ipv4("127.0.0.1", SERVICE, 17, udp(1, peer.port, Buffer.from("forged")));
	const stranger = createDgram("udp4");
	await new Promise<void>((resolve) => stranger.bind(0, "127.0.0.99", resolve));
	stranger.send(encodeControl(encodeHeader({ ...header, tag: 1n }), about, inner), socket.address().port, "127.0.0.1");
	// A datagram of the application, sent later, is answered later: by then a datagram sent for the forger would have
	// come back.
	while (socket.counters.ignoredNonce + socket.counters.ignoredSource === 0)
		await new Promise((resolve) => setTimeout(resolve, 5));
	socket.send("two", peer.port, SERVICE);
	while (!heard.some((one) => one.endsWith(" two"))) await once(socket, "message");
	stranger.close();
	expect(heard.filter((one) => one.includes("forged"))).toEqual([]);
});
