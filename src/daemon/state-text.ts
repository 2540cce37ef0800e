// state-text.ts - a member's state in one line, for `systemctl status`.

import type { Member } from "../member/member.js";

export function stateText({ config, readiness, role, workerErrors }: Member): string {
	if (workerErrors.size > 0) return `a worker has ended: ${[...workerErrors.values()][0] || "see the log"}`;
	if (readiness.since === undefined) return `waiting for ${readiness.waitingFor.join(", ")}`;
	const services = `serving ${config.services.length} service${config.services.length === 1 ? "" : "s"}`;
	const view = role.backends;
	if (view === undefined) return services;
	const health = config.backends.map(({ name }) => view.health(name).health);
	const healthy = health.filter((one) => one === "healthy").length;
	return `${services}; ${healthy} of ${health.length} backends healthy`;
}
