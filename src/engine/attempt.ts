// attempt.ts - a refusal of the addon as a ShuntError: SHUNT_ENGINE_FAILED, the step that failed, and the addon's sentence.

import { ShuntError } from "../errors.js";

export function attempt<T>(step: string, act: () => T): T {
	try {
		return act();
	} catch (cause) {
		if (cause instanceof ShuntError) throw cause;
		throw new ShuntError("SHUNT_ENGINE_FAILED", { step, why: (cause as Error).message }, { cause });
	}
}

export async function attemptLater<T>(step: string, act: () => Promise<T>): Promise<T> {
	try {
		return await act();
	} catch (cause) {
		if (cause instanceof ShuntError) throw cause;
		throw new ShuntError("SHUNT_ENGINE_FAILED", { step, why: (cause as Error).message }, { cause });
	}
}
