// service-fields.ts - the fields that a service takes unchanged from the configuration file.
// Generated from native/datapath/table_fields.yaml by scripts/table-fields.mjs; do not edit.

export interface CopiedServiceFields {
	/** What clients send to; the first of several. */
	readonly port: number;
}

export function copiedServiceFields(from: CopiedServiceFields): CopiedServiceFields {
	return {
		port: from.port,
	};
}
