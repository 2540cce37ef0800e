// gateway-tables.ts - the tables that a gateway compiles of a configuration, by what the configuration alone says.
//
// Must never: be published: the facts that only a host knows are missing.

import type { Config } from "../config/index.js";
import { ROLE } from "../policy/index.js";
import { newTableIds, type TableIds } from "./ids.js";
import { type Snapshot, snapshotOfConfig, withSharedTargets } from "./records.js";
import { type Compiled, compile } from "./tables.js";

export interface GatewayTables {
	readonly ids: TableIds;
	readonly snapshot: Snapshot;
	readonly tables: Compiled["tables"];
}

export function gatewayTablesOf(config: Config): GatewayTables {
	const ids = newTableIds();
	const snapshot = withSharedTargets(snapshotOfConfig(config), ids);
	const { tables } = compile({
		epoch: 1,
		roles: ROLE.gateway,
		cluster: config.cluster,
		snapshot,
		facts: new Map(),
		own: [],
		ids,
		wallOffsetNs: 0n,
	});
	return { ids, snapshot, tables };
}
