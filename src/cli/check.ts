// check.ts - `shunt check`: every problem of every configuration named, or what each would publish.
//
// Owns: nothing but the wording. Must never: touch the host, or load the addon.

import { type Config, ConfigError, problemText, readConfig, type Service } from "../config/index.js";
import { compile, lookup, newTableIds, type Snapshot, snapshotOfConfig, targetsOf } from "../database/index.js";
import { EXIT, ShuntError } from "../errors.js";
import { ROLE, tableSize } from "../policy/index.js";
import { type Paint, paintFor } from "./paint.js";
import { table } from "./table.js";
import { count, duration, endpoint, number } from "./units.js";
