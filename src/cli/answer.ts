// answer.ts - the one answer of a command: as JSON with --json, else as text.
//
// Must never: print a part of an answer.

export function printAnswer(options: { readonly json?: boolean }, answer: object, text: () => string): void {
	process.stdout.write(`${options.json ? JSON.stringify(answer) : text()}\n`);
}
