/**
 * The reply rules in this host's kernel: all of them, or those that its nftables can do.
 *
 * Owns: the firewall that holds the rules, and what this host's operator should know about a kernel that lacks a part.
 * Must never: leave the rules of an earlier configuration in force without an error.
 */
import type { Backend, Config, Service } from "../config/index.js";
import type { Firewall } from "../host/firewall.js";
import { replyRules } from "./reply-rules.js";

export class ReplyRewrite {
	readonly #firewall: Pick<Firewall, "set" | "close" | "detach">;
	#advice: string | undefined;

	constructor(firewall: Pick<Firewall, "set" | "close" | "detach">) {
		this.#firewall = firewall;
	}

	/** Throws SHUNT_FIREWALL_FAILED if the kernel refuses the rules without connected sockets, too. */
	async set(self: Backend, services: readonly Service[], sessions: Config["sessions"]): Promise<void> {
		this.#advice = undefined;
		try {
			await this.#firewall.set(replyRules(self, services, sessions));
		} catch (error) {
			await this.#firewall.set(replyRules(self, services, sessions, false));
			this.#advice =
				"UDP servers that connect their socket to a client receive nothing more through the gateway, for this kernel " +
				`refuses the rules for them (${(error as Error).message}); load the kernel module nft_socket and run shunt ` +
				"reload, or bind such a server to the service's address";
		}
	}

	advice(): readonly string[] {
		return this.#advice === undefined ? [] : [this.#advice];
	}

	close(): Promise<void> {
		return this.#firewall.close();
	}

	detach(): Promise<void> {
		return this.#firewall.detach();
	}
}
