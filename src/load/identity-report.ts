// identity-report.ts - the part of a load report by which members find out that they have drifted apart: the digest of
// the configuration, the ids of keys with a check value each, and the version. The clock is the datagram's own.
//
// Owns: the fields and their limits. Must never: carry a key, or trust a field; see report.ts.

export interface ReportedIdentity {
	/** Of what concerns both members (config/digest.ts). */
	readonly config: string;
	readonly keys: readonly { readonly id: number; readonly check: string }[];
	/** Shunt's, of the backend. */
	readonly version: string;
}

const MOST_KEYS = 256;

/** undefined: not valid. */
export function readIdentity(value: unknown): ReportedIdentity | undefined {
	if (typeof value !== "object" || value === null) return undefined;
	const { config, keys, version } = value as Record<string, unknown>;
	if (!isHex(config, 16) || typeof version !== "string" || version.length === 0 || version.length > 64)
		return undefined;
	if (!Array.isArray(keys) || keys.length > MOST_KEYS || !keys.every(isKey)) return undefined;
	return { config, version, keys: keys.map(({ id, check }) => ({ id, check })) };
}

function isKey(value: unknown): value is ReportedIdentity["keys"][number] {
	if (typeof value !== "object" || value === null) return false;
	const { id, check } = value as Record<string, unknown>;
	return Number.isInteger(id) && (id as number) >= 0 && (id as number) <= 255 && isHex(check, 8);
}

function isHex(value: unknown, digits: number): value is string {
	return typeof value === "string" && value.length === digits && /^[0-9a-f]+$/.test(value);
}
