/**
 * Reads what redirected clients report of targets, as the packet program has noted it, and names the backends and services.
 *
 * Owns: the period of the readings, and the translation from ids and addresses.
 * Must never: count networks, or judge them; health/client-reports.ts does.
 */
import { addressText } from "../config/index.js";
import type { Snapshot } from "../database/index.js";
import type { MemberView } from "../member/role.js";
import type { TargetReport } from "./health-monitor.js";

const PERIOD_MS = 500;

export interface ReportReaderOptions {
	readonly member: MemberView;
	/** Called once a period, also without reports. `at`: as `performance.now()`. */
	readonly onReports: (reports: readonly TargetReport[], at: number) => void;
}

export class ReportReader {
	readonly #options: ReportReaderOptions;
	#timer: NodeJS.Timeout | undefined;
	/** By id: service keys, of this snapshot. */
	#keys: { readonly snapshot: Snapshot; readonly byId: ReadonlyMap<number, string> } | undefined;

	constructor(options: ReportReaderOptions) {
		this.#options = options;
	}

	start(): void {
		this.#timer = setInterval(() => this.#read(), PERIOD_MS).unref();
	}

	close(): void {
		clearInterval(this.#timer);
	}

	#read(): void {
		const { member, onReports } = this.#options;
		const reports = member.engine.failureReports().flatMap(({ service, address, port, networks }): TargetReport[] => {
			const key = this.#keysById().get(service);
			const text = addressText(address);
			const backend = member.fileConfig.backends.find(({ addresses }) => addresses.includes(text));
			return key === undefined || backend === undefined
				? []
				: [{ backend: backend.name, service: key, port, networks }];
		});
		onReports(reports, performance.now());
	}

	#keysById(): ReadonlyMap<number, string> {
		const { snapshot, ids } = this.#options.member;
		if (this.#keys?.snapshot !== snapshot) {
			const byId = new Map(snapshot.services.map(({ key }) => [ids.services.get(key) ?? 0, key]));
			this.#keys = { snapshot, byId };
		}
		return this.#keys!.byId;
	}
}
