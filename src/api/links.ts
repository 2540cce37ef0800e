/**
 * The counters of the interfaces that the engine takes packets from.
 *
 * Owns: which counters `status` shows.
 * Must never: fail because an interface is gone.
 */
import { host, LINK_COUNTERS } from "../engine/index.js";
import type { Member } from "../member/member.js";
import type { LinkStatus } from "./types.js";

export function linksOf(member: Member): LinkStatus[] {
	return member.interfaces.map((name): LinkStatus => {
		try {
			const link = new (host().LinkCounters)(name);
			const counters = link.read(new BigUint64Array(LINK_COUNTERS.length));
			const [rxPackets, rxBytes, rxDropped, rxErrors, txPackets, txBytes, txDropped, txErrors] = [...counters].map(
				Number,
			);
			const { up, speedBps } = link.state();
			return {
				interface: name,
				up,
				speedBps,
				rx: { packets: rxPackets!, bytes: rxBytes!, dropped: rxDropped!, errors: rxErrors! },
				tx: { packets: txPackets!, bytes: txBytes!, dropped: txDropped!, errors: txErrors! },
				queues: queuesOf(name),
			};
		} catch {
			const nothing = { packets: 0, bytes: 0, dropped: 0, errors: 0 };
			return { interface: name, up: false, speedBps: 0, rx: nothing, tx: nothing, queues: [] };
		}
	});
}

function queuesOf(name: string): LinkStatus["queues"] {
	const number = (value: bigint | null) => (value === null ? null : Number(value));
	return new (host().QueueCounters)(name).read().map((one) => ({
		queue: one.queue,
		rx: { packets: number(one.rxPackets), bytes: number(one.rxBytes), dropped: number(one.rxDrops) },
		tx: { packets: number(one.txPackets), bytes: number(one.txBytes), dropped: number(one.txDrops) },
	}));
}
