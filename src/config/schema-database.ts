// schema-database.ts - the fields that say where the redirection database is.
//
// Owns: their shape, defaults and documentation. Must never: compare fields; that is database.ts.

import type { z } from "zod";
import { choice, map, mustBe, name, oneOrMore, text } from "./field-types.js";

const ENDPOINT = "a URL of an etcd server such as http://10.77.9.1:2379 or https://10.77.9.1:2379";

const endpoint = () =>
	text(ENDPOINT, (value) => {
		const url = URL.canParse(value) ? new URL(value) : undefined;
		const plain = url !== undefined && url.pathname === "/" && url.search === "" && url.hash === "";
		const valid = plain && url.username === "" && (url.protocol === "http:" || url.protocol === "https:");
		return valid ? undefined : mustBe(ENDPOINT)({ input: value });
	});

const PREFIX = "a text that begins and ends with a slash, such as /shunt/";

export const databaseSchema = map({
	kind: choice(["static", "embedded", "etcd"])
		.default("static")
		.describe("static: this file. embedded: a folder of this host. etcd: a cluster of etcd servers."),
	folder: name("folder")
		.optional()
		.describe("Folder of an embedded database, relative to this file's. Default: /var/lib/shunt/database."),
	endpoints: oneOrMore(endpoint(), "a URL or a list of URLs of etcd servers")
		.optional()
		.describe("URLs of the etcd servers; each is used when those before it do not answer."),
	prefix: text(PREFIX, (value) => (/^\/([!-~]{0,200}\/)?$/.test(value) ? undefined : mustBe(PREFIX)({ input: value })))
		.optional()
		.describe("All keys in etcd begin with it. Default: /shunt/."),
	caFile: name("file")
		.optional()
		.describe("Certificates (PEM) of the authorities of the servers. Default: the system's."),
	certificateFile: name("file").optional().describe("Certificate (PEM) of this client, with keyFile."),
	keyFile: name("file").optional().describe("Key (PEM) of certificateFile."),
	user: name("user").optional().describe("User of etcd, with passwordFile."),
	passwordFile: name("file").optional().describe("A file that holds the user's password, readable by its owner only."),
});

export type DatabaseFields = z.output<typeof databaseSchema>;
