// program.mjs - an ES module that uses the installed package.

import * as client from "shunt-client";
import * as wire from "shunt-client/wire";
import exchange from "./exchange.cjs";

await exchange(client, wire);
