// arguments.test.ts - the parser of each kind of value: accepted values, refused values, and the unit and range it
// states.

import { InvalidArgumentError } from "commander";
import { describe, expect, test } from "vitest";
import {
	durationMs,
	fraction,
	port,
	rate,
	ratio,
	seconds,
	speed,
	speeds,
	wholeNumber,
} from "../../src/cli/arguments.js";
import { shunt } from "./cli.js";

const NOT_DECIMAL = ["", " ", "x", "-1", "1e3", "0x10", "NaN", "Infinity", "1,5", "5%"];

describe.each([
	{
		kind: "count",
		parse: wholeNumber(1),
		accepted: { "1": 1, "10000000": 10_000_000 },
		refused: ["0", "1.5", "9007199254740993", ...NOT_DECIMAL],
		rule: "must be a whole number of at least 1",
	},
	{
		kind: "count with a limit",
		parse: wholeNumber(0, 1000),
		accepted: { "0": 0, "1000": 1000 },
		refused: ["1001", "2.5", ...NOT_DECIMAL],
		rule: "must be a whole number from 0 to 1,000",
	},
	{
		kind: "count with a unit",
		parse: wholeNumber(1, 86_400, "seconds"),
		accepted: { "600": 600 },
		refused: ["0", "86401", "1.5"],
		rule: "must be a whole number of seconds from 1 to 86,400",
	},
	{
		kind: "port",
		parse: port,
		accepted: { "1": 1, "65535": 65_535 },
		refused: ["0", "65536", "53.5", "53-63", ...NOT_DECIMAL],
		rule: "must be a port from 1 to 65535",
	},
	{
		kind: "fraction",
		parse: fraction,
		accepted: { "0": 0, "0.05": 0.05, ".5": 0.5, "1": 1, "1.0": 1 },
		refused: ["1.01", "2", ...NOT_DECIMAL],
		rule: "must be between 0 and 1",
	},
	{
		kind: "seconds",
		parse: seconds(0.1, 86_400),
		accepted: { "0.1": 0.1, "60": 60, "86400": 86_400 },
		refused: ["0", "0.05", "86401", "5s", ...NOT_DECIMAL],
		rule: "must be a number of seconds from 0.1 to 86,400",
	},
	{
		kind: "ratio",
		parse: ratio(1000),
		accepted: { "1": 1, "1.05": 1.05, "4": 4 },
		refused: ["0.5", "1001", ...NOT_DECIMAL],
		rule: "must be a ratio from 1 to 1,000",
	},
	{
		kind: "rate above 0",
		parse: rate("packets per second", 1_000_000, false),
		accepted: { "0.05": 0.05, "50": 50 },
		refused: ["0", "1000001", ...NOT_DECIMAL],
		rule: "must be a number of packets per second above 0 and up to 1,000,000",
	},
	{
		kind: "rate from 0",
		parse: rate("backends per minute", 1_000_000, true),
		accepted: { "0": 0, "0.05": 0.05, "2": 2 },
		refused: ["1000001", ...NOT_DECIMAL],
		rule: "must be a number of backends per minute from 0 to 1,000,000",
	},
	{
		kind: "speed",
		parse: speed,
		accepted: { "60Mbit": 60e6, "1.5Gbit": 1.5e9 },
		refused: ["60", "60M", "0Mbit", ""],
		rule: "must be a speed above 0 with its unit, such as 100Mbit or 10Gbit",
	},
	{
		kind: "list of speeds",
		parse: speeds(2),
		accepted: { "100Mbit": [100e6], "100Mbit, 10Mbit": [100e6, 10e6] },
		refused: ["1Mbit,", ""],
		rule: "must be a speed above 0 with its unit, such as 100Mbit or 10Gbit",
	},
	{
		kind: "list of more speeds than the limit",
		parse: speeds(2),
		accepted: {},
		refused: ["1Mbit,1Mbit,1Mbit"],
		rule: "must be at most 2 speeds",
	},
	{
		kind: "duration",
		parse: durationMs,
		accepted: { "500ms": 500, "1.5s": 1500, "2m": 120_000 },
		refused: ["5", "5 s", "5sec", ""],
		rule: "must be a duration with its unit, such as 500ms, 30s or 2m",
	},
] as const)("$kind", ({ parse, accepted, refused, rule }) => {
	test("accepts valid values", () => {
		for (const [text, value] of Object.entries(accepted)) expect(parse(text), text).toEqual(value);
	});

	test("refuses others with its unit and range", () => {
		for (const text of refused) {
			expect(() => parse(text), text).toThrow(InvalidArgumentError);
			expect(() => parse(text), text).toThrow(rule);
		}
	});
});

describe("shunt simulate", () => {
	const SMALL = ["--backends", "2", "--clients", "100", "--time", "10", "--json"];

	test.each([
		[["--use", "0.05", "--uplinks", "100Mbit,10Mbit"], {}],
		[["--unequal", "1.05"], { unequal: 1.05 }],
		[["--packets", "0.05"], { packets: 0.05 }],
		[["--loss", "0.05"], { loss: 0.05 }],
		[["--churn", "0.5"], { churn: 0.5 }],
		[["--lease", "0.5"], { leaseS: 0.5 }],
		[["--fail", "b1@2s,b2@4s", "--recover", "b1@5s"], { outages: [{ backend: 0, fromS: 2, toS: 5 }, { backend: 1 }] }],
		[
			["--flap", "b2:4s/500ms"],
			{
				outages: [
					{ backend: 1, fromS: 4, toS: 4.5 },
					{ fromS: 8.5, toS: 9 },
				],
			},
		],
	])("%j is accepted", async (args, expected) => {
		const { status, stdout, stderr } = await shunt(["simulate", ...SMALL, ...args]);
		expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
		expect(JSON.parse(stdout).options).toMatchObject(expected);
	});

	test.each([
		["--use", "1.5", "Option '--use <fraction>' argument '1.5' is invalid; must be between 0 and 1."],
		["--loss", "5", "Option '--loss <fraction>' argument '5' is invalid; must be between 0 and 1."],
		["--unequal", "0.05", "Option '--unequal <ratio>' argument '0.05' is invalid; must be a ratio from 1 to 1,000."],
		[
			"--packets",
			"0",
			"Option '--packets <rate>' argument '0' is invalid; must be a number of packets per second above 0 and up to 1,000,000.",
		],
		["--stale", "2.5", "Option '--stale <count>' argument '2.5' is invalid; must be a whole number from 0 to 1,000."],
		[
			"--time",
			"1.5",
			"Option '--time <seconds>' argument '1.5' is invalid; must be a whole number of seconds from 1 to 86,400.",
		],
		[
			"--fail",
			"b2",
			"Option '--fail <times>' argument 'b2' is invalid; must be backends with the time of each, such as b2@30s,b3@1m.",
		],
		["--fail", "b200@30s", "--fail b200: there is no such backend; the backends are b1 to b100."],
		[
			"--flap",
			"b2:10s",
			"Option '--flap <times>' argument 'b2:10s' is invalid; must be backends with the times for which each serves and is dead, of at least 100ms, such as b3:10s/5s.",
		],
		["--foreign", "60Mbit", "--foreign needs an uplink to be on; give --uplinks."],
	])("%s %s: option, value and rule, exit status 2", async (option, value, sentence) => {
		const { status, stdout, stderr } = await shunt(["simulate", option, value]);
		expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
		expect(stderr.split("\n")[0]).toBe(`shunt: ${sentence}`);
	});
});

test.each([
	[["dump", "-i", "lo", "--source-port", "70000"], "--source-port <port>"],
	[["dump", "-i", "lo", "--destination-port", "0"], "--destination-port <port>"],
	[["client", "-i", "lo", "--service", "udp/192.0.2.1:53", "--control-port", "70000"], "--control-port <port>"],
])("shunt %j: a port is from 1 to 65535", async (args, option) => {
	const { status, stderr } = await shunt(args);
	expect(status).toBe(2);
	expect(stderr).toContain(`Option '${option}' argument '${args.at(-1)}' is invalid; must be a port from 1 to 65535.`);
});
