// coded-error.ts - errors with a code, as Node's own have one.

export function codedError(
	code: string,
	message: string,
	Kind: new (message: string) => Error = Error,
): NodeJS.ErrnoException {
	return Object.assign(new Kind(message), { code });
}

/** Mode required: nothing is sent to the gateway. */
export function noTargetError(service: string): NodeJS.ErrnoException {
	return codedError(
		"ERR_SHUNT_REQUIRED",
		`${service} has no target, and mode is "required"; use mode "preferred" to allow the gateway`,
	);
}
