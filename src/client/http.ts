// http.ts - agents for node:http and node:https whose connections follow redirects.
//
// Owns: the two classes. Must never: change a request's URL, Host header or TLS identity: they are the service's
// (docs/protocol.md, section 8); or manage connections and TLS sessions, which Node's agents do.

import { Agent, type AgentOptions, type ClientRequestArgs } from "node:http";
import { type RequestOptions, Agent as SecureAgent, type AgentOptions as SecureAgentOptions } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { dialerOf } from "./connection.js";
import type { Dialer } from "./dialer.js";
import type { RedirectionOptions } from "./options.js";
import { redirectConnect } from "./redirected-connect.js";

export interface Redirected {
	readonly redirection?: RedirectionOptions;
	readonly dialer?: Dialer;
}

type Callback = (error: Error | null, stream: Duplex) => void;

export class RedirectedAgent extends Agent {
	readonly dialer: Dialer;

	constructor({ redirection, dialer, ...options }: AgentOptions & Redirected = {}) {
		super(options);
		this.dialer = dialerOf({ dialer, redirection }, "agent");
	}

	override createConnection(options: ClientRequestArgs, callback?: Callback): Duplex | null | undefined {
		return attached(redirectConnect(this.dialer, options), (redirected) =>
			super.createConnection(redirected, callback),
		);
	}
}

export class RedirectedSecureAgent extends SecureAgent {
	readonly dialer: Dialer;

	constructor({ redirection, dialer, ...options }: SecureAgentOptions & Redirected = {}) {
		super(options);
		this.dialer = dialerOf({ dialer, redirection }, "agent");
	}

	override createConnection(options: RequestOptions, callback?: Callback): Duplex | null | undefined {
		return attached(redirectConnect(this.dialer, options), (redirected) =>
			super.createConnection(redirected, callback),
		);
	}
}

function attached<T>(
	{ options, attach }: ReturnType<typeof redirectConnect<T & object>>,
	create: (options: T) => Duplex | null | undefined,
): Duplex | null | undefined {
	const stream = create(options);
	if (stream) attach(stream as Socket);
	return stream;
}
